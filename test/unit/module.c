/*
 * module.c
 *	  Makes the unit tests a module.
 */
#include "postgres.h"
#include "core/compat.h"

#include "fmgr.h"

PG_MODULE_MAGIC;
