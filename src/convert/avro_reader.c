/*
 * avro_reader.c
 *	  The primitives of Avro's encoding, read from bytes that may be damaged.
 */
#include "postgres.h"
#include "core/compat.h"

#include "convert/avro_reader.h"

/* The bytes that 64 bits take. */
#define MAX_VARINT 10

char *
ke_avro_reader_position(const KeAvroReader *reader)
{
	int			byte = (int) (reader->p - reader->start) + 1;

	if (reader->json->field == NULL)
		return psprintf("at byte %d", byte);
	return psprintf("in field \"%.200s\", at byte %d", reader->json->field,
					byte);
}

pg_noinline void
ke_avro_reader_damaged(const KeAvroReader *reader, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("%s does not fit its Avro schema", reader->json->subject),
			 errdetail("%s %s.", what, ke_avro_reader_position(reader))));
}

pg_noinline uint64
ke_avro_reader_varint(KeAvroReader *reader)
{
	const unsigned char *p = reader->p;
	uint64		value = 0;

	if (reader->end - p >= MAX_VARINT)
	{
		/* no end in sight: no need to look for it */
		for (int shift = 0; shift < 63; shift += 7)
		{
			value |= (uint64) (*p & 0x7f) << shift;
			if (*p++ < 0x80)
			{
				reader->p = p;
				return value;
			}
		}
		p = reader->p;
		value = 0;
	}
	for (int shift = 0; shift < 70; shift += 7)
	{
		if (p >= reader->end)
			ke_avro_reader_damaged(reader, "It ends too early,");
		value |= (uint64) (*p & 0x7f) << shift;
		if (*p++ < 0x80)
		{
			if (shift == 63 && p[-1] > 1)
				break;
			reader->p = p;
			return value;
		}
	}
	ke_avro_reader_damaged(reader, "An integer has more than 64 bits,");
}

/*
 * A negative count is followed by the block's size, for those who want to
 * pass over it.
 */
int64
ke_avro_reader_count(KeAvroReader *reader, int64 *size)
{
	int64		count = ke_avro_reader_integer(reader);

	*size = -1;
	if (count < 0)
	{
		*size = ke_avro_reader_integer(reader);
		if (count == PG_INT64_MIN || *size < 0 ||
			*size > reader->end - reader->p)
			ke_avro_reader_damaged(reader,
								   "A block of items has no valid size,");
		count = -count;
	}
	return count;
}

/* Every item but those of empty types takes a byte at least. */
void
ke_avro_reader_check_count(const KeAvroReader *reader, int64 count,
						   bool empty)
{
	if (count > (empty ? KE_AVRO_READER_FREE_ITEMS :
				 reader->end - reader->p))
		ke_avro_reader_damaged(reader,
							   "A block has more items than its bytes can hold,");
}
