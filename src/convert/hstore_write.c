/*
 * hstore_write.c
 *	  A JSON object as the text that hstore reads.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/syscache.h"

#include "convert/hstore_write.h"
#include "convert/json_write.h"

bool
ke_hstore_write_is_hstore(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	bool		is_hstore;

	if (!HeapTupleIsValid(tuple))
		return false;
	is_hstore = strcmp(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname),
					   "hstore") == 0;
	ReleaseSysCache(tuple);
	return is_hstore;
}

static void
write_quoted(StringInfo out, const char *text, int32 len)
{
	appendStringInfoChar(out, '"');
	for (int32 i = 0; i < len; i++)
	{
		if (text[i] == '"' || text[i] == '\\')
			appendStringInfoChar(out, '\\');
		appendStringInfoChar(out, text[i]);
	}
	appendStringInfoChar(out, '"');
}

static void
write_string(StringInfo out, const KeJsonNode *node)
{
	int32		len;
	const char *text = ke_json_scan_characters(node, &len);

	write_quoted(out, text, len);
}

static void
write_value(StringInfo out, const KeJson *json, int index)
{
	const KeJsonNode *node = &json->nodes[index];
	StringInfoData text;

	if (node->kind == KE_JSON_NULL)
		appendStringInfoString(out, "NULL");
	else if (node->kind == KE_JSON_STRING)
		write_string(out, node);
	else
	{
		initStringInfo(&text);
		ke_json_write(&text, json, index);
		write_quoted(out, text.data, text.len);
		pfree(text.data);
	}
}

void
ke_hstore_write(StringInfo out, const KeJson *json, int index)
{
	int			at = index + 1;

	if (json->lazy)
		ke_json_nodes_print(json, index);
	for (int i = 0; i < json->nodes[index].count; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		write_string(out, &json->nodes[at]);
		appendStringInfoString(out, "=>");
		write_value(out, json, at + 1);
		at = json->nodes[at + 1].next;
	}
}
