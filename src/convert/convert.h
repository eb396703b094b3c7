/*
 * convert.h
 *	  One JSON value, text or number into a Datum of a column's type.
 *
 * The result is what json_populate_record gives: a JSON string goes through
 * the type's input function, a number, true and false with their text, null
 * is NULL, an object or array goes as it is into json and jsonb, element by
 * element into arrays and composite types, and as text into the rest.
 * Common types have a fast way that gives the same; typmod and domain
 * constraints are always applied.  Options of a subscription say otherwise of
 * numbers into dates and times, and of strings into bytea.
 */
#ifndef KE_CONVERT_H
#define KE_CONVERT_H

#include "access/tupdesc.h"
#include "fmgr.h"

#include "convert/epoch.h"
#include "convert/json_scan.h"
#include "convert/nested.h"

typedef enum KeConvertKind
{
	KE_CONVERT_INPUT,			/* the input function, and nothing faster */
	KE_CONVERT_NESTED,			/* as before, but JSON may go in deeper */
	KE_CONVERT_BOOL,
	KE_CONVERT_INT2,
	KE_CONVERT_INT4,
	KE_CONVERT_INT8,
	KE_CONVERT_FLOAT4,
	KE_CONVERT_FLOAT8,
	KE_CONVERT_NUMERIC,
	KE_CONVERT_TEXT,			/* varchar too */
	KE_CONVERT_BYTEA,
	KE_CONVERT_UUID,
	KE_CONVERT_DATE,
	KE_CONVERT_TIMESTAMP,
	KE_CONVERT_TIMESTAMPTZ,
	KE_CONVERT_JSON,
	KE_CONVERT_JSONB
} KeConvertKind;

typedef struct KeConverter
{
	KeConvertKind kind;			/* of the type under all domains */
	Oid			type;			/* as declared */
	Oid			base_type;		/* under all domains */
	int32		typmod;			/* of base_type */
	FmgrInfo	input;			/* of base_type */
	Oid			input_param;
	KeEpochType epoch;			/* base_type's; none: numbers are as text */
	KeTimestampUnit unit;
	KeBytesEncoding encoding;
	bool		refuses_text;	/* bytea, of change events; see untyped.h */
	bool		is_domain;
	bool		is_hstore;
	bool		asks_for_type;	/* see untyped.h */
	void	   *domain_cache;	/* domain_check's */
	FmgrInfo	populate;		/* KE_CONVERT_NESTED: json_populate_record */
	Datum		record;			/* a row of this one column, empty */
	TupleDesc	record_desc;
	char	   *record_prefix;	/* {"name": */
	KeNested   *nested;			/* what is rewritten for it, or NULL */
	MemoryContext context;		/* what the caches live in */
} KeConverter;

/*
 * name is the column's.  Whatever the converter refers to is allocated in
 * context, which has to live as long.  options, which is not kept, are the
 * subscription's; NULL: all as json_populate_record does it.
 */
extern void ke_convert_init(KeConverter *conv, const char *name, Oid type,
							int32 typmod,
							const KeSubscriptionOptions *options,
							MemoryContext context);

/*
 * All of them: the datum is in the current context, or NULL where *isnull.
 * What the type refuses raises, with the type's SQLSTATE.
 */
extern Datum ke_convert_json(KeConverter *conv, const KeJson *json, int node,
							 bool *isnull);
extern Datum ke_convert_text(KeConverter *conv, const char *text, int32 len);
extern Datum ke_convert_int(KeConverter *conv, int64 value);
extern Datum ke_convert_null(KeConverter *conv);

/* The constraints of a domain; datum is of its base type. */
extern Datum ke_convert_check(KeConverter *conv, Datum datum, bool isnull);

#endif							/* KE_CONVERT_H */
