/*
 * launcher.h
 *	  Finds databases with a server of ours and keeps their managers running.
 */
#ifndef KE_LAUNCHER_H
#define KE_LAUNCHER_H

/* bgw_function_name of the launcher, which api/module registers. */
extern PGDLLEXPORT void ke_launcher_main(Datum main_arg);

#endif							/* KE_LAUNCHER_H */
