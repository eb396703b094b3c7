/*
 * compat.h
 *	  The only place that knows PostgreSQL's versions.
 *
 * Every .c file includes postgres.h and then this file, for the names that
 * differ between PostgreSQL 15 to 19, and for the domain of its errors.
 */
#ifndef KE_COMPAT_H
#define KE_COMPAT_H

#include "utils/varlena.h"

#if PG_VERSION_NUM < 150000
#error "kafka_events needs PostgreSQL 15 or later"
#endif

/* 16: postgres.h no longer brings what is inside a varlena. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 19: what tells the name of a database has moved. */
#if PG_VERSION_NUM >= 190000
#include "utils/lsyscache.h"
#endif

/* 18: a function that never returns says so before its type. */
#ifndef pg_attribute_noreturn
#define pg_attribute_noreturn() __attribute__((noreturn))
#endif

/* 16: which indexes an update concerns is more than yes or no. */
#if PG_VERSION_NUM < 160000
#define TU_UpdateIndexes bool
#define TU_None false
#endif

/* 16: one function for the privileges on every kind of object. */
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"

#define ke_aclcheck_function(oid, role, mode) \
	object_aclcheck(ProcedureRelationId, oid, role, mode)
#define ke_aclcheck_schema(oid, role, mode) \
	object_aclcheck(NamespaceRelationId, oid, role, mode)
#define ke_aclcheck_database(oid, role, mode) \
	object_aclcheck(DatabaseRelationId, oid, role, mode)
#define ke_aclcheck_server(oid, role, mode) \
	object_aclcheck(ForeignServerRelationId, oid, role, mode)
#else
#define ke_aclcheck_function(oid, role, mode) \
	pg_proc_aclcheck(oid, role, mode)
#define ke_aclcheck_schema(oid, role, mode) \
	pg_namespace_aclcheck(oid, role, mode)
#define ke_aclcheck_database(oid, role, mode) \
	pg_database_aclcheck(oid, role, mode)
#define ke_aclcheck_server(oid, role, mode) \
	pg_foreign_server_aclcheck(oid, role, mode)
#endif

/* 18: a deferrable primary key must be asked for. */
#if PG_VERSION_NUM >= 180000
#define ke_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define ke_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel)
#endif

/* 18: an index's order is asked for as the reverse one or not, no strategy. */
#if PG_VERSION_NUM >= 180000
#define KE_INDEX_ORDER false
#else
#define KE_INDEX_ORDER BTLessStrategyNumber
#endif

/* 16: one function for the ownership of all kinds of objects. */
#if PG_VERSION_NUM >= 160000
#define ke_owns_database(database, role) \
	object_ownercheck(DatabaseRelationId, database, role)
#else
#define ke_owns_database(database, role) pg_database_ownercheck(database, role)
#endif

/* 17: a wait event set may belong to a resource owner. */
#if PG_VERSION_NUM >= 170000
#define ke_create_wait_event_set(nevents) CreateWaitEventSet(NULL, nevents)
#else
#define ke_create_wait_event_set(nevents) \
	CreateWaitEventSet(TopMemoryContext, nevents)
#endif

/* 16: not every index need get an entry; 19: flags instead of booleans. */
#if PG_VERSION_NUM >= 190000
#define ke_insert_index_tuples(target, slot, estate) \
	ExecInsertIndexTuples(target, estate, 0, slot, NIL, NULL)
#elif PG_VERSION_NUM >= 160000
#define ke_insert_index_tuples(target, slot, estate) \
	ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL, false)
#else
#define ke_insert_index_tuples(target, slot, estate) \
	ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL)
#endif

/* 18: an index scan can be measured; 19: it has flags. */
#if PG_VERSION_NUM >= 190000
#define ke_index_beginscan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, NULL, nkeys, 0, 0)
#elif PG_VERSION_NUM >= 180000
#define ke_index_beginscan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, NULL, nkeys, 0)
#else
#define ke_index_beginscan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, nkeys, 0)
#endif

/* 19: updates and deletes have options. */
#if PG_VERSION_NUM >= 190000
#define ke_table_tuple_update(rel, tid, slot, cid, snapshot, failure, mode, \
							  indexes) \
	table_tuple_update(rel, tid, slot, cid, 0, snapshot, InvalidSnapshot, \
					   true, failure, mode, indexes)
#define ke_table_tuple_delete(rel, tid, cid, snapshot, failure) \
	table_tuple_delete(rel, tid, cid, 0, snapshot, InvalidSnapshot, true, \
					   failure)
#else
#define ke_table_tuple_update(rel, tid, slot, cid, snapshot, failure, mode, \
							  indexes) \
	table_tuple_update(rel, tid, slot, cid, snapshot, InvalidSnapshot, true, \
					   failure, mode, indexes)
#define ke_table_tuple_delete(rel, tid, cid, snapshot, failure) \
	table_tuple_delete(rel, tid, cid, snapshot, InvalidSnapshot, true, \
					   failure, false)
#endif

/* 19: a shared hash has one size, not a first and a largest one. */
#if PG_VERSION_NUM >= 190000
#define ke_shmem_init_hash(name, size, ctl, flags) \
	ShmemInitHash(name, size, ctl, flags)
#else
#define ke_shmem_init_hash(name, size, ctl, flags) \
	ShmemInitHash(name, size, size, ctl, flags)
#endif

/* 19: what was found and what not is told apart. */
#if PG_VERSION_NUM >= 190000
static inline int *
ke_ignored_flags(void)
{
	static int	flags;

	return &flags;
}
#define ke_function_candidates(names) \
	FuncnameGetCandidates(names, -1, NIL, false, false, false, true, \
						  ke_ignored_flags())
#else
#define ke_function_candidates(names) \
	FuncnameGetCandidates(names, -1, NIL, false, false, false, true)
#endif

/* 19: a jsonb is built in a state of its own type, which has the result. */
#if PG_VERSION_NUM >= 190000
#define KeJsonbBuilder JsonbInState
#define ke_push_jsonb(builder, token, value) \
	(pushJsonbValue(builder, token, value), (builder)->result)
#else
#define KeJsonbBuilder JsonbParseState *
#define ke_push_jsonb(builder, token, value) \
	pushJsonbValue(builder, token, value)
#endif

/* 18: there are other constraints with expressions than CHECK. */
#if PG_VERSION_NUM < 180000
#define ri_CheckConstraintExprs ri_ConstraintExprs
#endif

/* 16: a backend is found by its place in the list, which starts from 1. */
#if PG_VERSION_NUM >= 160000
#define ke_local_beentry(index) pgstat_get_local_beentry_by_index(index)
#else
#define ke_local_beentry(index) pgstat_fetch_stat_local_beentry(index)
#endif

/* 17: a backend is known by its place among the processes. */
#if PG_VERSION_NUM >= 170000
#define ke_proc_of_vxid(vxid) ProcNumberGetProc((vxid).procNumber)
#else
#define ke_proc_of_vxid(vxid) BackendIdGetProc((vxid).backendId)
#endif

/* 18: bytes are unsigned. */
#if PG_VERSION_NUM >= 180000
#define ke_b64_encode(src, len, dst, dst_len) \
	pg_b64_encode((const uint8 *) (src), len, dst, dst_len)
#define ke_b64_decode(src, len, dst, dst_len) \
	pg_b64_decode(src, len, (uint8 *) (dst), dst_len)
#else
#define ke_b64_encode(src, len, dst, dst_len) \
	pg_b64_encode(src, len, dst, dst_len)
#define ke_b64_decode(src, len, dst, dst_len) \
	pg_b64_decode(src, len, dst, dst_len)
#endif

/*
 * Errors raised by this extension carry its own domain: that is how
 * core/failure knows the messages that quote no payload.
 */
#undef TEXTDOMAIN
#define TEXTDOMAIN "kafka_events"

/*
 * PostgreSQL 16 finds the name that somebody probably meant; for 15, the same
 * interface with the same limits.
 */
#if PG_VERSION_NUM < 160000
typedef struct ClosestMatchState
{
	const char *source;
	int			min_d;
	int			max_d;
	const char *match;
} ClosestMatchState;

static inline void
initClosestMatch(ClosestMatchState *state, const char *source, int max_d)
{
	state->source = source;
	state->min_d = -1;
	state->max_d = max_d;
	state->match = NULL;
}

static inline void
updateClosestMatch(ClosestMatchState *state, const char *candidate)
{
	int			length = strlen(state->source);
	int			distance;

	if (length == 0)
		return;
	distance = varstr_levenshtein_less_equal(state->source, length,
											 candidate, strlen(candidate),
											 1, 1, 1, state->max_d, true);
	if (distance <= state->max_d && distance <= length / 2 &&
		(state->min_d < 0 || distance < state->min_d))
	{
		state->min_d = distance;
		state->match = candidate;
	}
}

static inline const char *
getClosestMatch(ClosestMatchState *state)
{
	return state->match;
}
#endif							/* PG_VERSION_NUM < 160000 */

#endif							/* KE_COMPAT_H */
