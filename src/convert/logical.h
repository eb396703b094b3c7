/*
 * logical.h
 *	  Values whose meaning a schema tells: dates, times, decimals and others
 *	  of Avro, Kafka Connect and Debezium.
 *
 * Nothing here depends on the format that carried the value.  avro_decode.h
 * lists what each becomes.  All functions make one node at the end of json's;
 * texts live in its scratch memory.  What PostgreSQL cannot hold raises
 * 22008 (a date or timestamp) or 22003 (a number).
 */
#ifndef KE_LOGICAL_H
#define KE_LOGICAL_H

#include "convert/json_nodes.h"

typedef enum KeLogicalKind
{
	KE_LOGICAL_NONE,
	/* integers */
	KE_LOGICAL_DATE,
	KE_LOGICAL_TIME,
	KE_LOGICAL_TIMESTAMP,		/* without a zone */
	KE_LOGICAL_TIMESTAMPTZ,
	KE_LOGICAL_SECONDS,			/* an interval */
	/* bytes */
	KE_LOGICAL_DECIMAL,
	KE_LOGICAL_BITS,
	KE_LOGICAL_UUID,			/* 16 of them */
	KE_LOGICAL_DURATION,		/* 12 of them */
	/* strings */
	KE_LOGICAL_ISO,				/* a date or timestamp */
	KE_LOGICAL_JSON,
	/* objects */
	KE_LOGICAL_VARIABLE_SCALE_DECIMAL,
	KE_LOGICAL_POINT,
	KE_LOGICAL_GEOMETRY
} KeLogicalKind;

typedef struct KeLogical
{
	KeLogicalKind kind;
	int32		scale;			/* of a decimal; bits that count; decimals of
								 * a second that an integer counts */
	bool		infinite;		/* some values stand for infinity */
	const char *sql_type;		/* of a column for it; NULL: not told */
} KeLogical;

/* A decimal's scale has these bounds: numeric has no more decimals. */
#define KE_LOGICAL_MIN_SCALE (-1000)
#define KE_LOGICAL_MAX_SCALE 16383

/*
 * What Connect's schema name says; KE_LOGICAL_NONE for any other name.  A
 * decimal's scale and the number of bits are in the schema's parameters.
 */
extern KeLogical ke_logical_of_connect(const char *name);

extern void ke_logical_integer(KeJson *json, const KeLogical *logical,
							   int64 value);
extern void ke_logical_bytes(KeJson *json, const KeLogical *logical,
							 const char *bytes, int32 len);

/* text is checked for the server's encoding, and outlives json. */
extern void ke_logical_string(KeJson *json, const KeLogical *logical,
							  const char *text, int32 len);

#endif							/* KE_LOGICAL_H */
