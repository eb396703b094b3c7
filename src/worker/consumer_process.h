/*
 * consumer_process.h
 *	  The main function of consumer processes.
 */
#ifndef KE_CONSUMER_PROCESS_H
#define KE_CONSUMER_PROCESS_H

/* bgw_function_name of main and retry consumers; bgw_main_arg: the slot. */
extern PGDLLEXPORT void ke_consumer_process_main(Datum main_arg);

#endif							/* KE_CONSUMER_PROCESS_H */
