/*
 * avro_program.h
 *	  What a compiled Avro schema consists of.
 *
 * Only for avro_schema.c, which makes it, and those that read or describe
 * data by it.
 */
#ifndef KE_AVRO_PROGRAM_H
#define KE_AVRO_PROGRAM_H

#include "convert/avro_schema.h"
#include "convert/logical.h"

/* How a value is read. */
typedef enum KeAvroOp
{
	KE_AVRO_NULL,
	KE_AVRO_BOOLEAN,
	KE_AVRO_INT,
	KE_AVRO_LONG,
	KE_AVRO_FLOAT,
	KE_AVRO_DOUBLE,
	KE_AVRO_BYTES,
	KE_AVRO_STRING,
	KE_AVRO_FIXED,
	KE_AVRO_ENUM,
	KE_AVRO_ARRAY,
	KE_AVRO_MAP,
	KE_AVRO_UNION,
	KE_AVRO_RECORD
} KeAvroOp;

/* As schemas call it. */
extern const char *ke_avro_schema_op_name(KeAvroOp op);

typedef struct KeAvroType KeAvroType;

/* A symbol of an enum, or a field's name. */
typedef struct KeAvroText
{
	const char *text;			/* in the server's encoding, with a NUL */
	int32		len;
} KeAvroText;

typedef struct KeAvroMember
{
	KeAvroText	name;
	const KeAvroType *type;
} KeAvroMember;

typedef enum KeAvroMark
{
	KE_AVRO_UNMARKED,
	KE_AVRO_OPEN,				/* on the way from the record we began with */
	KE_AVRO_DONE
} KeAvroMark;

struct KeAvroType
{
	KeAvroOp	op;
	KeLogical	logical;
	int32		count;			/* of fields, branches, symbols, bytes */
	int32		precision;		/* of a decimal, 0: not told */
	bool		empty;			/* a value may take no bytes */
	KeAvroMark	mark;			/* of a record, while empty is found out */
	const char *name;			/* full name of a named type, or NULL */
	const char *sql_type;		/* of a column for it; NULL: see op */
	union
	{
		KeAvroMember *fields;	/* of a record */
		const KeAvroType **branches;	/* of a union */
		KeAvroText *symbols;	/* of an enum */
		const KeAvroType *items;	/* of an array or map */
	}			in;
};

struct KeAvroSchema
{
	MemoryContext context;
	const KeAvroType *root;
	const KeJsonShape *shape;	/* of its values, or NULL */
};

#endif							/* KE_AVRO_PROGRAM_H */
