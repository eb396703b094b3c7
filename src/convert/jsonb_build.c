/*
 * jsonb_build.c
 *	  Scanned JSON into jsonb, byte by byte what jsonb_in makes of it.
 *
 * jsonb_in builds a tree of JsonbValues and serializes that; here the nodes of
 * the scan are serialized at once, into memory whose size is known before.
 * The format is described in utils/jsonb.h; a fuzz test compares with
 * jsonb_in.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "convert/jsonb_build.h"
#include "convert/json_write.h"
#include "convert/numeric_build.h"

/* Far from the limits of a JEntry and of palloc; beyond, jsonb_in decides. */
#define MAX_TEXT (64 * 1024 * 1024)

/* Objects up to this size are sorted without memory from the heap. */
#define SMALL_OBJECT 64

typedef struct Pair
{
	const char *key;
	int32		len;
	int			value;			/* its node */
	int			order;			/* place in the text: the last one wins */
} Pair;

/*
 * The order in which the keys of the last object came out.  Messages of a
 * topic look alike, so most objects are sorted already when taken this way.
 */
static uint8 guess[SMALL_OBJECT];
static int	guess_count = 0;

static JEntry write_value(const KeJson *json, int index, char *base, char **p);

/* An upper bound of what write_value needs for node and all in it. */
static Size
room(const KeJson *json, int index)
{
	const KeJsonNode *nodes = json->nodes;
	Size		size = 0;

	for (int i = index; i < nodes[index].next; i++)
	{
		size += sizeof(JEntry);
		switch ((KeJsonKind) nodes[i].kind)
		{
			case KE_JSON_NULL:
			case KE_JSON_FALSE:
			case KE_JSON_TRUE:
				break;
			case KE_JSON_NUMBER:
				size += sizeof(int32) + sizeof(int32) +
					KE_NUMERIC_ROOM(nodes[i].len);
				break;
			case KE_JSON_STRING:
				size += nodes[i].len;
				break;
			case KE_JSON_ARRAY:
			case KE_JSON_OBJECT:
				size += sizeof(int32) + sizeof(uint32);
				break;
		}
	}
	return size;
}

/* The order of keys in jsonb; of equal ones, the order in the text. */
static int
compare_pairs(const void *a, const void *b)
{
	const Pair *left = a;
	const Pair *right = b;
	int			result;

	if (left->len != right->len)
		return left->len > right->len ? 1 : -1;
	result = memcmp(left->key, right->key, left->len);
	if (result != 0)
		return result;
	return left->order > right->order ? 1 : -1;
}

/* Linear when sorted already, and quicker than qsort when small. */
static void
sort_pairs(Pair *pairs, int count)
{
	if (count > SMALL_OBJECT)
	{
		qsort(pairs, count, sizeof(Pair), compare_pairs);
		return;
	}
	for (int i = 1; i < count; i++)
	{
		Pair		pair = pairs[i];
		int			j = i;

		while (j > 0 && compare_pairs(&pairs[j - 1], &pair) > 0)
		{
			pairs[j] = pairs[j - 1];
			j--;
		}
		pairs[j] = pair;
	}
}

/* A value that is not kept may still be one that jsonb cannot hold. */
static void
check_value(const KeJson *json, int index)
{
	char	   *base = palloc(room(json, index));
	char	   *p = base;

	(void) write_value(json, index, base, &p);
	pfree(base);
}

/* Of equal keys, which are neighbours, keep the last; returns how many. */
static int
unique_pairs(const KeJson *json, Pair *pairs, int count)
{
	int			kept = 0;

	for (int i = 0; i < count; i++)
	{
		if (i + 1 < count && pairs[i].len == pairs[i + 1].len &&
			memcmp(pairs[i].key, pairs[i + 1].key, pairs[i].len) == 0)
			check_value(json, pairs[i].value);
		else
			pairs[kept++] = pairs[i];
	}
	return kept;
}

static void
set_key(Pair *pair, const KeJsonNode *key)
{
	if (key->escaped)
	{
		char	   *text = palloc(key->len);

		pair->len = ke_json_scan_unescape(key, text);
		pair->key = text;
	}
	else
	{
		pair->key = key->text;
		pair->len = key->len;
	}
}

/* The object's pairs as jsonb orders them; returns how many are left. */
static int
collect_pairs(const KeJson *json, int index, Pair *pairs)
{
	const KeJsonNode *nodes = json->nodes;
	int			count = nodes[index].count;
	bool		guessed = index == 0 && count == guess_count;
	int			node = index + 1;
	uint8		place[SMALL_OBJECT];

	if (guessed)
	{
		for (int i = 0; i < count; i++)
			place[guess[i]] = (uint8) i;
	}
	for (int i = 0; i < count; i++)
	{
		Pair	   *pair = &pairs[guessed ? place[i] : i];

		set_key(pair, &nodes[node]);
		pair->value = node + 1;
		pair->order = i;
		node = nodes[node + 1].next;
	}
	sort_pairs(pairs, count);
	if (index == 0 && count <= SMALL_OBJECT)
	{
		for (int i = 0; i < count; i++)
			guess[i] = (uint8) pairs[i].order;
		guess_count = count;
	}
	return unique_pairs(json, pairs, count);
}

/* Every JB_OFFSET_STRIDE'th entry holds where its value ends, not how long. */
static inline void
store_entry(char *entries, int i, JEntry entry, uint32 total)
{
	if (i % JB_OFFSET_STRIDE == 0)
		entry = (entry & JENTRY_TYPEMASK) | total | JENTRY_HAS_OFF;
	memcpy(entries + i * sizeof(JEntry), &entry, sizeof(JEntry));
}

/* Zeros up to the next multiple of 4 bytes. */
static inline char *
pad(char *base, char *p)
{
	while ((p - base) % sizeof(int32) != 0)
		*p++ = '\0';
	return p;
}

static JEntry
write_object(const KeJson *json, int index, char *base, char **p)
{
	Pair		small[SMALL_OBJECT];
	Pair	   *pairs = small;
	int			count = json->nodes[index].count;
	char	   *start = *p;
	char	   *entries;
	char	   *out;
	uint32		header;
	uint32		total = 0;

	if (count > SMALL_OBJECT)
		pairs = palloc(count * sizeof(Pair));
	count = collect_pairs(json, index, pairs);

	entries = pad(base, start);
	header = count | JB_FOBJECT;
	memcpy(entries, &header, sizeof(header));
	entries += sizeof(header);
	out = entries + 2 * count * sizeof(JEntry);
	for (int i = 0; i < count; i++)
	{
		memcpy(out, pairs[i].key, pairs[i].len);
		out += pairs[i].len;
		total += pairs[i].len;
		store_entry(entries, i, pairs[i].len, total);
	}
	for (int i = 0; i < count; i++)
	{
		JEntry		entry = write_value(json, pairs[i].value, base, &out);

		total += JBE_OFFLENFLD(entry);
		store_entry(entries, count + i, entry, total);
	}
	if (pairs != small)
		pfree(pairs);
	*p = out;
	return JENTRY_ISCONTAINER | (uint32) (out - start);
}

static JEntry
write_array(const KeJson *json, int index, char *base, char **p)
{
	const KeJsonNode *nodes = json->nodes;
	int			count = nodes[index].count;
	char	   *start = *p;
	char	   *entries = pad(base, start);
	char	   *out;
	uint32		header = count | JB_FARRAY;
	uint32		total = 0;
	int			node = index + 1;

	memcpy(entries, &header, sizeof(header));
	entries += sizeof(header);
	out = entries + count * sizeof(JEntry);
	for (int i = 0; i < count; i++)
	{
		JEntry		entry = write_value(json, node, base, &out);

		total += JBE_OFFLENFLD(entry);
		store_entry(entries, i, entry, total);
		node = nodes[node].next;
	}
	*p = out;
	return JENTRY_ISCONTAINER | (uint32) (out - start);
}

static JEntry
write_number(const KeJsonNode *node, char *base, char **p)
{
	char	   *start = *p;
	char	   *out = pad(base, start);
	int			size = ke_numeric_build(out, node->text, node->len, 0);

	if (size == 0)
	{
		char	   *text = pnstrdup(node->text, node->len);
		Datum		number = DirectFunctionCall3(numeric_in,
												 CStringGetDatum(text),
												 ObjectIdGetDatum(InvalidOid),
												 Int32GetDatum(-1));

		size = VARSIZE_ANY(DatumGetPointer(number));
		Assert(size <= KE_NUMERIC_ROOM(node->len) + sizeof(int32));
		memcpy(out, DatumGetPointer(number), size);
		pfree(DatumGetPointer(number));
		pfree(text);
	}
	*p = out + size;
	return JENTRY_ISNUMERIC | (uint32) (out + size - start);
}

/* Write the value at *p, advance it, return its entry with its length. */
static JEntry
write_value(const KeJson *json, int index, char *base, char **p)
{
	const KeJsonNode *node = &json->nodes[index];
	int32		len;

	switch ((KeJsonKind) node->kind)
	{
		case KE_JSON_NULL:
			return JENTRY_ISNULL;
		case KE_JSON_FALSE:
			return JENTRY_ISBOOL_FALSE;
		case KE_JSON_TRUE:
			return JENTRY_ISBOOL_TRUE;
		case KE_JSON_NUMBER:
			return write_number(node, base, p);
		case KE_JSON_STRING:
			if (node->escaped)
				len = ke_json_scan_unescape(node, *p);
			else
			{
				len = node->len;
				memcpy(*p, node->text, len);
			}
			*p += len;
			return JENTRY_ISSTRING | (uint32) len;
		case KE_JSON_ARRAY:
			check_stack_depth();
			return write_array(json, index, base, p);
		case KE_JSON_OBJECT:
			check_stack_depth();
			return write_object(json, index, base, p);
	}
	pg_unreachable();
}

/* A scalar at the top is an array of one element with a flag. */
static void
write_scalar(const KeJson *json, int index, char *base, char **p)
{
	uint32		header = 1 | JB_FARRAY | JB_FSCALAR;
	char	   *entries = *p + sizeof(header);
	JEntry		entry;

	memcpy(*p, &header, sizeof(header));
	*p = entries + sizeof(JEntry);
	entry = write_value(json, index, base, p);
	store_entry(entries, 0, entry, JBE_OFFLENFLD(entry));
}

Datum
ke_jsonb_build(const KeJson *json, int index)
{
	const KeJsonNode *node = &json->nodes[index];
	char	   *base;
	char	   *p;

	if (json->lazy)
		ke_json_nodes_print(json, index);
	if (json->end - json->text > MAX_TEXT ||
		room(json, index) > JENTRY_OFFLENMASK)
	{
		StringInfoData text;

		initStringInfo(&text);
		ke_json_write(&text, json, index);
		return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
	}

	base = palloc(VARHDRSZ + sizeof(uint32) + sizeof(JEntry) +
				  room(json, index));
	p = base + VARHDRSZ;
	if (node->kind == KE_JSON_OBJECT || node->kind == KE_JSON_ARRAY)
		(void) write_value(json, index, base, &p);
	else
		write_scalar(json, index, base, &p);
	SET_VARSIZE(base, p - base);
	return PointerGetDatum(base);
}
