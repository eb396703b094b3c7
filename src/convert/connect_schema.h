/*
 * connect_schema.h
 *	  The schema that Kafka Connect's JsonConverter writes beside a value,
 *	  compiled for reading values.
 */
#ifndef KE_CONNECT_SCHEMA_H
#define KE_CONNECT_SCHEMA_H

#include "convert/json_scan.h"
#include "convert/logical.h"

typedef enum KeConnectKind
{
	KE_CONNECT_BOOLEAN,
	KE_CONNECT_NUMBER,
	KE_CONNECT_STRING,
	KE_CONNECT_BYTES,			/* in JSON a string in base64 */
	KE_CONNECT_ARRAY,
	KE_CONNECT_MAP,				/* an object, or an array of pairs */
	KE_CONNECT_STRUCT
} KeConnectKind;

typedef struct KeConnectField
{
	const char *name;			/* not NUL-terminated */
	int32		len;
	struct KeConnectType *type;
} KeConnectField;

typedef struct KeConnectType
{
	KeConnectKind kind;
	KeLogical	logical;
	const char *name;			/* NULL: none */
	bool		plain;			/* values are as JSON has them, all the way */
	struct KeConnectType *items;	/* of an array; the values of a map */
	struct KeConnectType *keys; /* of a map */
	KeConnectField *fields;		/* of a struct, in the schema's order */
	int			nfields;
} KeConnectType;

/*
 * Compile the schema at node.  The result lives in the current context and
 * refers to nothing of json.  Raises 22023 for what is no schema of Connect.
 */
extern KeConnectType *ke_connect_schema_compile(const KeJson *json, int node);

/* The field of that name, or NULL; hint: where it is, if all is as usual. */
extern const KeConnectField *
ke_connect_schema_find(const KeConnectType *type, const char *name,
					   int32 len, int hint);

#endif							/* KE_CONNECT_SCHEMA_H */
