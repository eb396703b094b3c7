/*
 * field_map_internal.h
 *	  What a field map consists of: for field_map.c, which makes it, and
 *	  field_find.c, which looks fields up in it.
 */
#ifndef KE_FIELD_MAP_INTERNAL_H
#define KE_FIELD_MAP_INTERNAL_H

#include "common/hashfn.h"

#include "convert/field_map.h"

/*
 * What the n-th field of the last object was.  Names of columns are shorter
 * than NAMEDATALEN; longer ones are looked up each time.
 */
typedef struct KeFieldGuess
{
	char		name[NAMEDATALEN];
	int			len;			/* -1: nothing known */
	int			member;			/* index, or -1: nobody wants it */
	bool		renamed;		/* found by another name than its own */
} KeFieldGuess;

/* An entry of the hash table of names: open addressing, half full at most. */
typedef struct KeFieldSlot
{
	uint32		hash;
	int			member;			/* index, or -1: free */
} KeFieldSlot;

/* A field or an element that somebody wants, or something in it. */
typedef struct KeFieldPlace
{
	const char *name;			/* NULL: an element */
	int			len;
	int			index;			/* of an element */
	int			attribute;		/* first that takes the value, or -1 */
	struct KeFieldInside *inside;	/* NULL: nobody wants what is in it */
} KeFieldPlace;

/* What is wanted of an object, or of an array. */
typedef struct KeFieldInside
{
	KeFieldPlace *members;
	int			nmembers;
	KeFieldPlace *elements;
	int			nelements;
	int			allocated;		/* of each of these */
	int			last_element;	/* highest index */
	int		   *attributes;		/* all in it */
	int			nattributes;
	KeFieldSlot *slots;
	uint32		mask;
	KeFieldGuess *guesses;
	int			nguesses;
} KeFieldInside;

/* What the fields of objects of one shape are. */
typedef struct KeFieldKnown
{
	uint64		shape;			/* its id, 0: free */
	int		   *nth;			/* by attribute: its field, or -1 */
	int		   *nth_inside;		/* by member of the root: the field that
								 * others are in, or -1 */
	bool	   *wanted;			/* by field; NULL: all, or none */
} KeFieldKnown;

/* So many are remembered: topics seldom mix more versions of a schema. */
#define KE_FIELD_KNOWN 4

struct KeFieldMap
{
	MemoryContext context;
	TupleDesc	tupdesc;
	bool		snake_case;		/* fields at the top */
	KeFieldPlace root;
	int		   *next;			/* attribute that takes the same, or -1 */
	int		   *by_name;		/* attributes whose own name will do too */
	int			nby_name;
	KeFieldKnown known[KE_FIELD_KNOWN];
	int			oldest;			/* of these */
};

static inline uint32
ke_field_map_hash(const char *name, int len)
{
	return hash_bytes((const unsigned char *) name, len);
}

#endif							/* KE_FIELD_MAP_INTERNAL_H */
