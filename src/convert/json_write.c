/*
 * json_write.c
 *	  Nodes into JSON text.
 *
 * An object or array that has a text of its own was scanned from JSON, and so
 * was all in it; one without was put together, and is written out node by
 * node.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/json.h"

#include "convert/json_write.h"

static void write_node(StringInfo out, const KeJson *json, int index);

static void
write_string(StringInfo out, const KeJsonNode *node)
{
	char	   *characters;

	if (node->verbatim)
	{
		characters = pnstrdup(node->text, node->len);
		escape_json(out, characters);
		pfree(characters);
		return;
	}
	appendStringInfoChar(out, '"');
	appendBinaryStringInfo(out, node->text, node->len);
	appendStringInfoChar(out, '"');
}

/* The elements, or the pairs, that follow the node. */
static void
write_members(StringInfo out, const KeJson *json, int index)
{
	const KeJsonNode *node = &json->nodes[index];
	bool		is_object = node->kind == KE_JSON_OBJECT;
	int			at = index + 1;

	check_stack_depth();
	appendStringInfoChar(out, is_object ? '{' : '[');
	for (int i = 0; i < node->count; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		if (is_object)
		{
			write_string(out, &json->nodes[at++]);
			appendStringInfoChar(out, ':');
		}
		write_node(out, json, at);
		at = json->nodes[at].next;
	}
	appendStringInfoChar(out, is_object ? '}' : ']');
}

static void
write_node(StringInfo out, const KeJson *json, int index)
{
	const KeJsonNode *node = &json->nodes[index];

	if (node->kind == KE_JSON_STRING)
		write_string(out, node);
	else if (node->text != NULL)
		appendBinaryStringInfo(out, node->text, node->len);
	else
		write_members(out, json, index);
}

void
ke_json_write(StringInfo out, const KeJson *json, int index)
{
	if (json->lazy)
		ke_json_nodes_print(json, index);
	write_node(out, json, index);
}
