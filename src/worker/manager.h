/*
 * manager.h
 *	  The main function of managers.
 */
#ifndef KE_MANAGER_H
#define KE_MANAGER_H

/* bgw_function_name of a manager; main_arg: its slot. */
extern PGDLLEXPORT void ke_manager_main(Datum main_arg);

#endif							/* KE_MANAGER_H */
