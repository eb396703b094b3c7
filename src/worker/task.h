/*
 * task.h
 *	  The main function of task processes.
 */
#ifndef KE_WORKER_TASK_H
#define KE_WORKER_TASK_H

/* bgw_function_name of a task process; bgw_main_arg: the slot. */
extern PGDLLEXPORT void ke_task_main(Datum main_arg);

#endif							/* KE_WORKER_TASK_H */
