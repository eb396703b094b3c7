/*
 * unwrap_internal.h
 *	  What the files of unwrapping share.
 */
#ifndef KE_UNWRAP_INTERNAL_H
#define KE_UNWRAP_INTERNAL_H

#include "convert/connect_value.h"
#include "convert/unwrap.h"

/* A value, and the schema that came with it. */
typedef struct KeEnvelope
{
	const KeJson *json;
	int			value;			/* node */
	const KeConnectType *type;	/* NULL: none */
	bool		typed;			/* values are what they mean without it */
} KeEnvelope;

/* Append a value as its type, if any, says. */
static inline void
ke_unwrap_append(KeJson *out, const KeEnvelope *envelope, int node,
				 const KeConnectType *type)
{
	if (type == NULL)
		ke_connect_value_copy(out, envelope->json, node);
	else
		ke_connect_value_append(out, type, envelope->json, node);
}

/* What a Debezium event, which is not null, says. */
extern KeUnwrapped ke_unwrap_debezium_read(const KeEnvelope *envelope,
										   KeJson *out);

/* Is it the value that stands for one that Debezium did not get? */
extern bool ke_unwrap_debezium_is_unavailable(const KeJson *json, int node);

/* The value of a message, these bytes, is read by source if it is JSON. */
extern KeUnwrapped ke_unwrap_cloudevents_read(KeMessage *msg,
											  const char *bytes, int32 len,
											  KeJson *source, KeJson *out);

/* Attributes from headers; the data is the node root of source. */
extern KeUnwrapped ke_unwrap_cloudevents_take(KeMessage *msg,
											  const KeJson *source, int root,
											  KeJson *out);

#endif							/* KE_UNWRAP_INTERNAL_H */
