/*
 * launcher.h
 *	  Finds databases with a server of ours and keeps their managers running.
 */
#ifndef KE_LAUNCHER_H
#define KE_LAUNCHER_H

/* From _PG_init under shared_preload_libraries. */
extern void ke_launcher_register(void);

/* bgw_function_name of the launcher. */
extern PGDLLEXPORT void ke_launcher_main(Datum main_arg);

#endif							/* KE_LAUNCHER_H */
