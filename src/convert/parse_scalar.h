/*
 * parse_scalar.h
 *	  The common spelling of common types, parsed without their input
 *	  functions.
 *
 * Each returns false for a spelling that it leaves to the input function,
 * which may accept or refuse it; when true, *result is what the input
 * function gives, whatever the session's settings are.  Nothing raises.
 */
#ifndef KE_PARSE_SCALAR_H
#define KE_PARSE_SCALAR_H

#include "utils/date.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

extern bool ke_parse_scalar_int(const char *text, int len, int64 *result);
extern bool ke_parse_scalar_float4(const char *text, int len, float4 *result);
extern bool ke_parse_scalar_float8(const char *text, int len, float8 *result);
extern bool ke_parse_scalar_date(const char *text, int len, DateADT *result);
extern bool ke_parse_scalar_timestamp(const char *text, int len,
									  Timestamp *result);
extern bool ke_parse_scalar_timestamptz(const char *text, int len,
										TimestampTz *result);
extern bool ke_parse_scalar_uuid(const char *text, int len, pg_uuid_t *result);

#endif							/* KE_PARSE_SCALAR_H */
