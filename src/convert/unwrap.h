/*
 * unwrap.h
 *	  Envelopes: what a message means, taken out of what it is wrapped in.
 *
 * connect: {"schema", "payload"} of Kafka Connect's JsonConverter.
 *
 * debezium: change events of Debezium, with such a schema or without, and the
 * rows that its ExtractNewRecordState makes of them.  The value is the row
 * after the change.
 *
 * cloudevents: the attributes as ce_id, ce_type, ..., and the data: for
 * columns the fields of the data beside them, and all of it as "data".
 */
#ifndef KE_UNWRAP_H
#define KE_UNWRAP_H

#include "convert/json_scan.h"
#include "core/message.h"
#include "core/options.h"

typedef enum KeUnwrapOp
{
	KE_UNWRAP_NONE,				/* there is no value */
	KE_UNWRAP_VALUE,
	KE_UNWRAP_DELETE,			/* the row of the message's key is gone */
	KE_UNWRAP_SKIP				/* the message says nothing about a row */
} KeUnwrapOp;

typedef struct KeUnwrapped
{
	KeUnwrapOp	op;
	int			root;			/* node of out for columns; with
								 * KE_UNWRAP_DELETE the row before, or -1 */
	int			whole;			/* node of out for who takes all of it */
} KeUnwrapped;

typedef struct KeUnwrap KeUnwrap;

/*
 * For values or keys of one subscription; lives in parent.  subject is what
 * errors call them.
 */
extern KeUnwrap *ke_unwrap_make(KeUnwrapKind kind, bool is_key,
								const char *subject, MemoryContext parent);

/*
 * Unwrap the value, or the key, of a message, which is this JSON (NULL: there
 * is none), into out, which ke_json_scan_init made.  Nodes hold as long as the
 * message, the current context and until the next call.  Raises 22P02 for
 * broken JSON and 22023
 * for what is no such envelope.
 */
extern KeUnwrapped ke_unwrap_json(KeUnwrap *unwrap, KeMessage *msg,
								  const char *bytes, int32 len, KeJson *out);

/*
 * The same for nodes that another format made in the nodes of
 * ke_unwrap_source, where values are what they mean already; root is the
 * value's.
 */
extern KeJson *ke_unwrap_source(KeUnwrap *unwrap);
extern KeUnwrapped ke_unwrap_nodes(KeUnwrap *unwrap, KeMessage *msg, int root,
								   KeJson *out);

#endif							/* KE_UNWRAP_H */
