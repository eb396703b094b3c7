/*
 * fcinfo.h
 *	  The arguments of our SQL functions.
 */
#ifndef KE_FCINFO_H
#define KE_FCINFO_H

#include "fmgr.h"

/* A text or name, or NULL. */
extern char *ke_fcinfo_text(FunctionCallInfo fcinfo, int n);
extern char *ke_fcinfo_name(FunctionCallInfo fcinfo, int n);

/* A text that must not be NULL; raises naming the argument. */
extern char *ke_fcinfo_required(FunctionCallInfo fcinfo,
								int n,
								const char *name);

#endif							/* KE_FCINFO_H */
