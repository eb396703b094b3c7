/*
 * sink_rows.c
 *	  Messages as a relation that SQL statements of ours can select from.
 *
 * PostgreSQL would read an ephemeral named relation from a tuplestore.  A
 * planner hook replaces that scan with one of ours, which makes each row when
 * it is asked for.  The hook is installed when a sink is first used, that is
 * in consumer processes only, and concerns nothing but relations of this one
 * name.  User code that runs meanwhile could use the name for a transition
 * table of its own: then the scan refuses to start.
 */
#include "postgres.h"
#include "core/compat.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"

#include "sink/sink_rows.h"

/* The executor's node. */
typedef struct RowsScan
{
	CustomScanState css;
	KeSinkRows *rows;
	int			next;
	MemoryContext context;		/* of the row being written */
	Datum	   *values;			/* of it, by attribute */
	bool	   *nulls;
} RowsScan;

static Plan *plan_rows(PlannerInfo *root, RelOptInfo *rel,
					   struct CustomPath *path, List *tlist, List *clauses,
					   List *custom_plans);
static Node *make_scan(CustomScan *plan);
static void begin_scan(CustomScanState *css, EState *estate, int eflags);
static TupleTableSlot *next_row(CustomScanState *css);
static void end_scan(CustomScanState *css);
static void rescan(CustomScanState *css);

static const CustomPathMethods path_methods = {
	.CustomName = "KafkaRows",
	.PlanCustomPath = plan_rows
};

static const CustomScanMethods scan_methods = {
	.CustomName = "KafkaRows",
	.CreateCustomScanState = make_scan
};

static const CustomExecMethods exec_methods = {
	.CustomName = "KafkaRows",
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = next_row,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan
};

/* What the relation stands for while a statement runs. */
static EphemeralNamedRelation registered = NULL;
static KeSinkRows *running = NULL;

static set_rel_pathlist_hook_type previous_hook = NULL;
static bool hook_installed = false;

/* Planner hook: our scan is the only path to our relation. */
static void
offer_path(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	CustomPath *path;

	if (previous_hook)
		previous_hook(root, rel, rti, rte);
	if (rte->rtekind != RTE_NAMEDTUPLESTORE ||
		strcmp(rte->enrname, KE_SINK_ROWS) != 0)
		return;

	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.rows = rel->rows;
	path->path.total_cost = rel->rows * DEFAULT_CPU_TUPLE_COST;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->methods = &path_methods;
	rel->pathlist = NIL;
	add_path(rel, (Path *) path);
}

static void
add_column(CustomScan *scan, Index rti, AttrNumber attribute, Oid type,
		   int32 typmod, Oid collation)
{
	Var		   *var = makeVar(rti, attribute, type, typmod, collation, 0);
	AttrNumber	n = list_length(scan->custom_scan_tlist) + 1;

	scan->custom_scan_tlist = lappend(scan->custom_scan_tlist,
									  makeTargetEntry((Expr *) var, n, NULL,
													  false));
}

/*
 * The scan's own columns are all of the relation's, in their order.  A DELETE
 * also asks for the whole row, to find it again when a concurrent update makes
 * it look a second time.  This scan always starts anew then, and gives NULL.
 */
static Plan *
plan_rows(PlannerInfo *root, RelOptInfo *rel, struct CustomPath *path,
		  List *tlist, List *clauses, List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);
	RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
	Bitmapset  *used = NULL;
	ListCell   *type,
			   *typmod,
			   *collation;
	AttrNumber	attribute = 1;

	forthree(type, rte->coltypes, typmod, rte->coltypmods,
			 collation, rte->colcollations)
	{
		add_column(scan, rel->relid, attribute++, lfirst_oid(type),
				   lfirst_int(typmod), lfirst_oid(collation));
	}
	pull_varattnos((Node *) tlist, rel->relid, &used);
	if (bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used))
		add_column(scan, rel->relid, 0, RECORDOID, -1, InvalidOid);

	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = extract_actual_clauses(clauses, false);
	scan->flags = path->flags;
	scan->methods = &scan_methods;
	return (Plan *) scan;
}

static Node *
make_scan(CustomScan *plan)
{
	RowsScan   *scan = (RowsScan *) newNode(sizeof(RowsScan),
											T_CustomScanState);

	scan->css.methods = &exec_methods;
	return (Node *) scan;
}

static void
begin_scan(CustomScanState *css, EState *estate, int eflags)
{
	RowsScan   *scan = (RowsScan *) css;
	EphemeralNamedRelation enr = get_ENR(estate->es_queryEnv, KE_SINK_ROWS);
	KeSinkTable *table;

	if (enr == NULL || enr != registered || running == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("relation name \"%s\" is reserved", KE_SINK_ROWS)));

	table = running->table;
	scan->rows = running;
	scan->values = palloc0(table->desc->natts * sizeof(Datum));
	scan->nulls = palloc0(table->desc->natts * sizeof(bool));
	scan->context = AllocSetContextCreate(CurrentMemoryContext,
										  "kafka_events row",
										  ALLOCSET_DEFAULT_SIZES);
}

static TupleTableSlot *
next_row(CustomScanState *css)
{
	RowsScan   *scan = (RowsScan *) css;
	KeSinkRows *rows = scan->rows;
	TupleTableSlot *slot = css->ss.ss_ScanTupleSlot;
	ExprContext *econtext = css->ss.ps.ps_ExprContext;
	const int  *attributes = rows->table->row_attributes;
	Datum	   *values = scan->values;
	bool	   *nulls = scan->nulls;

	for (;;)
	{
		if (scan->next >= rows->count)
		{
			*rows->at = -1;
			return ExecClearTuple(slot);
		}

		ResetExprContext(econtext);
		if (rows->made != NULL)
		{
			KeSinkRow  *row = rows->made[scan->next++];

			*rows->at = row->message;
			values = row->values;
			nulls = row->nulls;
		}
		else
		{
			MemoryContext old;
			KeSinkAct	act;

			*rows->at = rows->first + scan->next++;
			MemoryContextReset(scan->context);
			old = MemoryContextSwitchTo(scan->context);
			act = ke_sink_row_fill(rows->table, rows->msgs[*rows->at], values,
								   nulls);
			MemoryContextSwitchTo(old);
			if (act != KE_SINK_WRITES)
			{
				ke_sink_table_leave(rows->table, rows->msgs[*rows->at]);
				continue;
			}
		}

		ExecStoreAllNullTuple(slot);
		for (int i = 0; i < rows->table->row_desc->natts; i++)
		{
			slot->tts_values[i] = values[attributes[i]];
			slot->tts_isnull[i] = nulls[attributes[i]];
		}
		econtext->ecxt_scantuple = slot;
		if (!ExecQual(css->ss.ps.qual, econtext))
			continue;
		if (css->ss.ps.ps_ProjInfo != NULL)
			return ExecProject(css->ss.ps.ps_ProjInfo);
		return slot;
	}
}

static void
end_scan(CustomScanState *css)
{
	MemoryContextDelete(((RowsScan *) css)->context);
}

static void
rescan(CustomScanState *css)
{
	((RowsScan *) css)->next = 0;
}

static void
install_hook(void)
{
	if (hook_installed)
		return;
	RegisterCustomScanMethods(&scan_methods);
	previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = offer_path;
	hook_installed = true;
}

void
ke_sink_rows_register(KeSinkTable *table, int count)
{
	EphemeralNamedRelation enr;

	install_hook();
	enr = palloc0(sizeof(EphemeralNamedRelationData));
	enr->md.name = KE_SINK_ROWS;
	enr->md.reliddesc = InvalidOid;
	enr->md.tupdesc = table->row_desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = count;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the relation of messages");
	registered = enr;
}

int64
ke_sink_rows_execute(KeSinkRows *rows, SPIPlanPtr plan)
{
	int			result;

	running = rows;
	PG_TRY();
	{
		result = SPI_execute_plan(plan, NULL, NULL, false, 0);
	}
	PG_FINALLY();
	{
		running = NULL;
	}
	PG_END_TRY();
	if (result < 0)
		elog(ERROR, "could not write rows: %s",
			 SPI_result_code_string(result));
	return SPI_processed;
}
