/*
 * role.h
 *	  The role that a session of ours runs as.
 */
#ifndef KE_ROLE_H
#define KE_ROLE_H

/*
 * Inside a transaction, after user code has run: be the session's owner
 * again.  Costs nothing if there is nothing to do.
 */
extern void ke_role_restore(void);

#endif							/* KE_ROLE_H */
