/*
 * avro_reader.h
 *	  The primitives of Avro's encoding, read from bytes that may be damaged.
 *
 * Nothing is read past the end; what a length or a count promises is compared
 * with the bytes that are left.  Only for those that read data by a compiled
 * schema.
 */
#ifndef KE_AVRO_READER_H
#define KE_AVRO_READER_H

#include "convert/avro_program.h"
#include "convert/json_nodes.h"

/*
 * Items that take no bytes are bounded by this alone: so many may a few bytes
 * make.
 */
#define KE_AVRO_READER_FREE_ITEMS 1000000

typedef struct KeAvroReader
{
	const unsigned char *p;		/* what is to be read */
	const unsigned char *end;
	const unsigned char *start;
	KeJson	   *json;			/* what it is about, for errors; and where
								 * nodes go to */
	int			max_nodes;
	bool		is_utf8;		/* the server's encoding is */
} KeAvroReader;

/* 22P03, with the place where the reader is.  what: "A length is negative," */
extern void ke_avro_reader_damaged(const KeAvroReader *reader,
								   const char *what) pg_attribute_noreturn();

/* Where the reader is, for the detail of an error. */
extern char *ke_avro_reader_position(const KeAvroReader *reader);

/* More than one byte, or none. */
extern uint64 ke_avro_reader_varint(KeAvroReader *reader);

/*
 * The number of items in the next block of an array or map, 0 at the end.
 * *size: the bytes they take, -1 if the block does not say.
 */
extern int64 ke_avro_reader_count(KeAvroReader *reader, int64 *size);

/* Raise for a block that cannot have so many items.  empty: of no bytes. */
extern void ke_avro_reader_check_count(const KeAvroReader *reader,
									   int64 count, bool empty);

static inline int64
ke_avro_reader_integer(KeAvroReader *reader)
{
	uint64		value;

	if (reader->p < reader->end && *reader->p < 0x80)
		value = *reader->p++;
	else
		value = ke_avro_reader_varint(reader);
	return (int64) (value >> 1) ^ -(int64) (value & 1);
}

static inline int64
ke_avro_reader_int(KeAvroReader *reader)
{
	int64		value = ke_avro_reader_integer(reader);

	if (value != (int32) value)
		ke_avro_reader_damaged(reader, "An int has more than 32 bits,");
	return value;
}

/* So many bytes, which are there. */
static inline const char *
ke_avro_reader_take(KeAvroReader *reader, int64 len)
{
	const char *bytes = (const char *) reader->p;

	if (len < 0)
		ke_avro_reader_damaged(reader, "A length is negative,");
	if (len > reader->end - reader->p)
		ke_avro_reader_damaged(reader, "It ends too early,");
	reader->p += len;
	return bytes;
}

/* The type of a union's value that follows. */
static inline const KeAvroType *
ke_avro_reader_branch(KeAvroReader *reader, const KeAvroType *type)
{
	int64		branch = ke_avro_reader_integer(reader);

	if (branch < 0 || branch >= type->count)
		ke_avro_reader_damaged(reader, "A union has no such branch,");
	return type->in.branches[branch];
}

/* The symbol of an enum. */
static inline const KeAvroText *
ke_avro_reader_symbol(KeAvroReader *reader, const KeAvroType *type)
{
	int64		symbol = ke_avro_reader_integer(reader);

	if (symbol < 0 || symbol >= type->count)
		ke_avro_reader_damaged(reader, "An enum has no such symbol,");
	return &type->in.symbols[symbol];
}

static inline bool
ke_avro_reader_boolean(KeAvroReader *reader)
{
	unsigned char value = *ke_avro_reader_take(reader, 1);

	if (value > 1)
		ke_avro_reader_damaged(reader, "A boolean is neither 0 nor 1,");
	return value == 1;
}

#endif							/* KE_AVRO_READER_H */
