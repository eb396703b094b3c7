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

#include "convert/json_nodes.h"

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

/*
 * Scan the value that begins at byte `from` of the text, with unescape;
 * returns what is behind it.
 */
extern const char *ke_json_scan_first(KeJson *json, const char *text,
									  int32 len, int32 from);

/*
 * Scan one value behind the nodes that are there, with unescape; returns its
 * node.
 */
extern int	ke_json_scan_append(KeJson *json, const char *text, int32 len);

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
