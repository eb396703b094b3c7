/*
 * task_process.h
 *	  The main function of task processes.
 */
#ifndef KE_TASK_PROCESS_H
#define KE_TASK_PROCESS_H

/* bgw_function_name of a task process; bgw_main_arg: the slot. */
extern PGDLLEXPORT void ke_task_process_main(Datum main_arg);

#endif							/* KE_TASK_PROCESS_H */
