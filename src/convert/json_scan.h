/*
 * json_scan.h
 *	  JSON text into a flat array of nodes, in one pass.
 *
 * Accepts exactly what PostgreSQL's own JSON parser accepts.  Nodes point
 * into the text: it must outlive them, be in the server's encoding and be
 * checked for it (ke_json_scan_to_server does both).
 */
#ifndef KE_JSON_SCAN_H
#define KE_JSON_SCAN_H

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
 * A value, or the key of a pair (a string).  An object is followed by its
 * keys and values in turn, an array by its elements.
 */
typedef struct KeJsonNode
{
	const char *text;			/* as written; of a string without quotes;
								 * NULL: an object or array put together */
	int32		len;
	int32		next;			/* the node after this one and all in it */
	int32		count;			/* pairs of an object, elements of an array */
	uint8		kind;			/* KeJsonKind */
	bool		escaped;		/* a string with escapes */
	bool		verbatim;		/* a string that is not written as JSON does:
								 * its text may hold quotes, backslashes and
								 * control characters, and is never escaped */
} KeJsonNode;

typedef struct KeJson
{
	KeJsonNode *nodes;			/* nodes[0] is the whole value */
	int			nnodes;
	int			allocated;
	MemoryContext context;		/* of nodes */
	const char *subject;		/* "message value": for errors */
	const char *text;
	const char *end;
	bool		unescape;		/* strings will be needed without escapes */
} KeJson;

/* Nodes are kept in context, and reused by the next scan. */
extern void ke_json_scan_init(KeJson *json, const char *subject,
							  MemoryContext context);

/*
 * Scan one value.  Raises 22P02 for broken JSON and 54001 for too deep a
 * nesting.  With unescape, escapes that text cannot hold raise too, as they
 * do in jsonb (22P05 and 22P02); without, they are only checked for their
 * form, as in json.
 */
extern void ke_json_scan(KeJson *json, const char *text, int32 len,
						 bool unescape);

/* Make text, which is the server's, a single string; it raises nothing. */
extern void ke_json_scan_plain(KeJson *json, const char *text, int32 len);

/*
 * Write a string node's characters to dst, which has room for node->len
 * bytes; returns how many.  Needs a scan with unescape.
 */
extern int32 ke_json_scan_unescape(const KeJsonNode *node, char *dst);

/*
 * A string node's characters: where they are, or a copy in the current context
 * without escapes.  Needs a scan with unescape.
 */
extern const char *ke_json_scan_characters(const KeJsonNode *node,
										   int32 *len);

/*
 * The bytes of a message, which are UTF-8, in the server's encoding: bytes
 * itself, or a copy in the current context and its length.  Raises 22021 for
 * what is not UTF-8 or holds a NUL.
 */
extern const char *ke_json_scan_to_server(const char *bytes, int32 *len,
										  const char *subject);

#endif							/* KE_JSON_SCAN_H */
