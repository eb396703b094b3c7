/*
 * framing.h
 *	  Which schema a message's value or key was written with.
 *
 * Serializers for schema registries put an id before the bytes, or into a
 * header beside them:
 *
 *	  00, four bytes			Confluent's; what the number is an id of, the
 *								server's option schema_registry_id says
 *	  00, eight bytes			Apicurio's, likewise
 *	  __value_schema_id			Confluent's: 01 and a GUID, or 00 and an id
 *	  apicurio.value.globalId	Apicurio's, or .contentId: eight bytes
 *
 * and the same with key.  The header counts where there is one.
 */
#ifndef KE_FRAMING_H
#define KE_FRAMING_H

#include "core/message.h"
#include "core/options.h"
#include "core/schema_id.h"

typedef struct KeFraming
{
	KeSchemaId	id;
	int32		skip;			/* so many bytes are before what it is of */
	bool		is_json;		/* Apicurio's: Avro was written as JSON */
} KeFraming;

/* The length of the usual framing: a byte 0 and four bytes of an id. */
#define KE_FRAMING_LEN 5

/* False: it has none, or a wrong one; *problem says what ("has ..."). */
extern bool ke_framing_read(KeMessage *msg, bool of_key, KeRegistryId ids,
							KeFraming *framing, const char **problem);

#endif							/* KE_FRAMING_H */
