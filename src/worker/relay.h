/*
 * relay.h
 *	  The main function of relays.
 */
#ifndef KE_WORKER_RELAY_H
#define KE_WORKER_RELAY_H

/* bgw_function_name of a relay; bgw_main_arg: the slot. */
extern PGDLLEXPORT void ke_relay_main(Datum main_arg);

#endif							/* KE_WORKER_RELAY_H */
