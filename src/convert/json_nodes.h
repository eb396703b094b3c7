/*
 * json_nodes.h
 *	  A value as a flat array of nodes, whatever it was written as.
 *
 * Nodes made from JSON text point into it (json_scan.h); those of binary
 * formats and those put together have no such text, and what they need lives
 * in the scratch memory of their KeJson.
 */
#ifndef KE_JSON_NODES_H
#define KE_JSON_NODES_H

typedef enum KeJsonKind
{
	KE_JSON_NULL,
	KE_JSON_FALSE,
	KE_JSON_TRUE,
	KE_JSON_NUMBER,
	KE_JSON_STRING,
	KE_JSON_ARRAY,
	KE_JSON_OBJECT
} KeJsonKind;

/*
 * What a number or string of a binary format has beside its text, for columns
 * that can take it as it is.
 */
typedef enum KeJsonForm
{
	KE_JSON_FORM_TEXT,			/* nothing */
	KE_JSON_FORM_INT,			/* integer */
	KE_JSON_FORM_FLOAT4,		/* number, NaN and infinity included */
	KE_JSON_FORM_FLOAT8,
	KE_JSON_FORM_DECIMAL,		/* integer, divided by 10^count */
	KE_JSON_FORM_BYTES,			/* bytes, of which there are count */
	KE_JSON_FORM_DATE,			/* integer: DateADT, infinity included */
	KE_JSON_FORM_TIME,			/* integer: TimeADT */
	KE_JSON_FORM_TIMESTAMP,		/* integer: Timestamp, infinity included */
	KE_JSON_FORM_TIMESTAMPTZ,	/* integer: TimestampTz, likewise */
	KE_JSON_FORM_BITS,			/* integer: 1 if their number is sure */
	KE_JSON_FORM_JSON_NULL,		/* of null: the value of a json column */
	KE_JSON_FORM_UNAVAILABLE	/* of null: its writer did not have it */
} KeJsonForm;

/*
 * A value, or the key of a pair (a string).  An object is followed by its
 * keys and values in turn, an array by its elements.
 */
typedef struct KeJsonNode
{
	const char *text;			/* as written; of a string without quotes;
								 * NULL: an object or array put together, or
								 * a form that is not printed yet */
	union
	{
		int64		integer;
		float8		number;
		const char *bytes;
	}			value;			/* by form */
	int32		len;			/* of text */
	int32		next;			/* the node after this one and all in it */
	int32		count;			/* pairs of an object, elements of an array */
	uint8		kind;			/* KeJsonKind */
	uint8		form;			/* KeJsonForm */
	bool		escaped;		/* a string with escapes */
	bool		verbatim;		/* a string that is not written as JSON does:
								 * its text may hold quotes, backslashes and
								 * control characters, and is never escaped */
} KeJsonNode;

typedef struct KeJsonName
{
	const char *text;
	int32		len;
} KeJsonName;

/* What objects of one schema have in common: their keys, in this order. */
typedef struct KeJsonShape
{
	uint64		id;				/* no other shape ever has it */
	int32		count;
	KeJsonName *names;
} KeJsonShape;

/* Scratch memory. */
typedef struct KeJsonChunk KeJsonChunk;

typedef struct KeJson
{
	KeJsonNode *nodes;			/* nodes[0] is the whole value */
	int			nnodes;
	int			allocated;
	MemoryContext context;		/* of nodes and scratch memory */
	const char *subject;		/* "message value": for errors */
	const char *field;			/* what is being decoded, or NULL: likewise */
	const char *text;			/* what was scanned; NULL: nothing was */
	const char *end;
	bool		unescape;		/* strings will be needed without escapes */
	bool		lazy;			/* forms may have no text yet */
	bool		untyped;		/* of a change event that says no types */
	const KeJsonShape *shape;	/* of the object at node 0, or NULL */
	const int  *members;		/* with a shape: the node of each key's value,
								 * -1 where it was left out */
	KeJsonChunk *chunks;
	char	   *room;			/* what is free of the first chunk */
	char	   *room_end;
} KeJson;

/* Forget all nodes and all scratch memory. */
extern void ke_json_nodes_reset(KeJson *json);

/* Room for one more node.  Raises 54000 for too many. */
extern void ke_json_nodes_grow(KeJson *json);

/*
 * A node at the end, without text, whose next is the node behind it.  The
 * pointer holds until the next node is added.
 */
static inline KeJsonNode *
ke_json_nodes_add(KeJson *json, KeJsonKind kind)
{
	KeJsonNode *node;

	if (json->nnodes == json->allocated)
		ke_json_nodes_grow(json);
	node = &json->nodes[json->nnodes++];
	node->text = NULL;
	node->len = 0;
	node->next = json->nnodes;
	node->count = 0;
	node->kind = kind;
	node->form = KE_JSON_FORM_TEXT;
	node->escaped = false;
	node->verbatim = true;
	return node;
}

/* A string of len bytes at text, which is scratch memory or lives as long. */
static inline void
ke_json_nodes_add_string(KeJson *json, const char *text, int32 len)
{
	KeJsonNode *node = ke_json_nodes_add(json, KE_JSON_STRING);

	node->text = text;
	node->len = len;
}

/*
 * So many bytes, unaligned or aligned as palloc aligns, until the next reset.
 */
extern char *ke_json_nodes_room(KeJson *json, Size size);
extern void *ke_json_nodes_aligned(KeJson *json, Size size);

/*
 * Give text to the node and all in it, whose forms may have none.  That does
 * not change the value, so json may be somebody else's.
 */
extern void ke_json_nodes_print(const KeJson *json, int index);

#endif							/* KE_JSON_NODES_H */
