/*
 * relay_process.h
 *	  The main function of relays.
 */
#ifndef KE_RELAY_PROCESS_H
#define KE_RELAY_PROCESS_H

/* bgw_function_name of a relay; bgw_main_arg: the slot. */
extern PGDLLEXPORT void ke_relay_process_main(Datum main_arg);

#endif							/* KE_RELAY_PROCESS_H */
