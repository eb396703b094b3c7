/*
 * sink_match.c
 *	  How a message's row and the target's are compared, in SQL.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/genam.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "sink/sink_match.h"

void
ke_sink_match_key(StringInfo sql, const KeSinkTable *table)
{
	Relation	index = index_open(table->key_index, AccessShareLock);

	for (int i = 0; i < table->nkeys; i++)
	{
		int			attribute = table->keys[i] - 1;
		const char *name = quote_identifier(table->columns[attribute].name);
		Oid			type = TupleDescAttr(table->desc, attribute)->atttypid;
		Oid			input = index->rd_opcintype[i];
		Oid			equal = get_opfamily_member(index->rd_opfamily[i], input,
												input, BTEqualStrategyNumber);

		if (i > 0)
			appendStringInfoString(sql, " AND ");
		generate_operator_clause(sql, psprintf("t.%s", name), type, equal,
								 psprintf("m.%s", name), type);
	}
	index_close(index, NoLock);
}

void
ke_sink_match_newer(StringInfo sql, const KeSinkTable *table,
							const char *prefix, const char *new)
{
	int			attribute = table->update_if - 1;
	const char *name;
	Oid			type;
	Oid			greater;

	if (table->update_if == 0)
		return;
	name = quote_identifier(table->columns[attribute].name);
	type = TupleDescAttr(table->desc, attribute)->atttypid;
	greater = lookup_type_cache(type, TYPECACHE_GT_OPR)->gt_opr;
	appendStringInfo(sql, "%s(t.%s IS NULL OR ", prefix, name);
	generate_operator_clause(sql, psprintf("%s.%s", new, name), type, greater,
							 psprintf("t.%s", name), type);
	appendStringInfoChar(sql, ')');
}
