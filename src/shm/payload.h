/*
 * payload.h
 *	  What questions and answers carry, as bytes.
 *
 * Both sides are this library in processes of one server, so nothing is
 * converted; a payload that is cut off raises all the same.
 */
#ifndef KE_PAYLOAD_H
#define KE_PAYLOAD_H

#include "lib/stringinfo.h"

extern void ke_payload_put_bool(StringInfo buf, bool value);
extern void ke_payload_put_int(StringInfo buf, int32 value);
extern void ke_payload_put_int64(StringInfo buf, int64 value);
extern void ke_payload_put_bytes(StringInfo buf, const char *bytes, Size len);
extern void ke_payload_put_string(StringInfo buf, const char *string);

/* Read bytes that stay where they are; then get what was put, in order. */
extern void ke_payload_open(StringInfo buf, char *bytes, Size len);

/* A string may be NULL; what is got is a copy. */
extern bool ke_payload_get_bool(StringInfo buf);
extern int32 ke_payload_get_int(StringInfo buf);
extern int64 ke_payload_get_int64(StringInfo buf);
extern char *ke_payload_get_bytes(StringInfo buf, Size len);
extern char *ke_payload_get_string(StringInfo buf);

#endif							/* KE_PAYLOAD_H */
