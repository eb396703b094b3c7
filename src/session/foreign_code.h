/*
 * foreign_code.h
 *	  No function of somebody else runs as a superuser in a consumer.
 */
#ifndef KE_FOREIGN_CODE_H
#define KE_FOREIGN_CODE_H

/*
 * From now on this process raises 42501 where a superuser's session would
 * begin to call a function that belongs to nobody who is one, however deep
 * in other functions.  SECURITY DEFINER functions run as their owner and may.
 */
extern void ke_foreign_code_refuse(void);

#endif							/* KE_FOREIGN_CODE_H */
