/*
 * field_map.c
 *	  Which field of an object each column's value is.
 *
 * The messages of a topic look alike: at each place, most fields are what they
 * were in the last message, and are found without a hash.
 */
#include "postgres.h"
#include "core/compat.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "convert/field_map.h"

/*
 * What the n-th field of the last object was.  Names of columns are shorter
 * than NAMEDATALEN; longer ones are looked up each time.
 */
typedef struct Guess
{
	char		name[NAMEDATALEN];
	int			len;			/* -1: nothing known */
	int			member;			/* index, or -1: nobody wants it */
	bool		renamed;		/* found by another name than its own */
} Guess;

#define ROOT_GUESSES 64
#define INNER_GUESSES 16

/* An entry of the hash table of names: open addressing, half full at most. */
typedef struct NameSlot
{
	uint32		hash;
	int			member;			/* index, or -1: free */
} NameSlot;

/* A field or an element that somebody wants, or something in it. */
typedef struct Place
{
	const char *name;			/* NULL: an element */
	int			len;
	int			index;			/* of an element */
	int			attribute;		/* first that takes the value, or -1 */
	struct Inside *inside;		/* NULL: nobody wants what is in it */
} Place;

/* What is wanted of an object, or of an array. */
typedef struct Inside
{
	Place	   *members;
	int			nmembers;
	Place	   *elements;
	int			nelements;
	int			allocated;		/* of each of these */
	int			last_element;	/* highest index */
	int		   *attributes;		/* all in it */
	int			nattributes;
	NameSlot   *slots;
	uint32		mask;
	Guess	   *guesses;
	int			nguesses;
} Inside;

struct KeFieldMap
{
	TupleDesc	tupdesc;
	bool		snake_case;		/* fields at the top */
	Place		root;
	int		   *next;			/* attribute that takes the same, or -1 */
	int		   *by_name;		/* attributes whose own name will do too */
	int			nby_name;
};

/* --------------------------------------------------------------- making */

static Inside *
inside_of(KeFieldMap *map, Place *place)
{
	Inside	   *inside = place->inside;

	if (inside != NULL)
		return inside;
	inside = palloc0(sizeof(Inside));
	inside->allocated = 8;
	inside->members = palloc0(inside->allocated * sizeof(Place));
	inside->elements = palloc0(inside->allocated * sizeof(Place));
	inside->last_element = -1;
	inside->attributes = palloc(map->tupdesc->natts * sizeof(int));
	place->inside = inside;
	return inside;
}

static void
grow(Inside *inside)
{
	inside->allocated *= 2;
	inside->members = repalloc(inside->members,
							   inside->allocated * sizeof(Place));
	inside->elements = repalloc(inside->elements,
								inside->allocated * sizeof(Place));
}

static Place *
member_for(Inside *inside, const char *name, int len)
{
	Place	   *place;

	for (int i = 0; i < inside->nmembers; i++)
	{
		place = &inside->members[i];
		if (place->len == len && memcmp(place->name, name, len) == 0)
			return place;
	}
	if (inside->nmembers == inside->allocated)
		grow(inside);
	place = &inside->members[inside->nmembers++];
	memset(place, 0, sizeof(Place));
	place->name = pnstrdup(name, len);
	place->len = len;
	place->attribute = -1;
	return place;
}

static Place *
element_for(Inside *inside, int index)
{
	Place	   *place;

	for (int i = 0; i < inside->nelements; i++)
		if (inside->elements[i].index == index)
			return &inside->elements[i];
	if (inside->nelements == inside->allocated)
		grow(inside);
	place = &inside->elements[inside->nelements++];
	memset(place, 0, sizeof(Place));
	place->index = index;
	place->attribute = -1;
	inside->last_element = Max(inside->last_element, index);
	return place;
}

/* The attribute's value is at the end of these steps. */
static void
add_path(KeFieldMap *map, int attribute, const KePathStep *steps, int nsteps)
{
	Place	   *place = &map->root;

	for (int i = 0; i < nsteps; i++)
	{
		Inside	   *inside = inside_of(map, place);

		inside->attributes[inside->nattributes++] = attribute;
		place = steps[i].name == NULL ? element_for(inside, steps[i].index)
			: member_for(inside, steps[i].name, steps[i].len);
	}
	map->next[attribute] = place->attribute;
	place->attribute = attribute;
}

static inline uint32
hash_name(const char *name, int len)
{
	return hash_bytes((const unsigned char *) name, len);
}

/* Make the tables of names, now that all places are known. */
static void
finish(Inside *inside, int nguesses)
{
	uint32		size = 8;

	while (size < 2 * inside->nmembers)
		size *= 2;
	inside->slots = palloc(size * sizeof(NameSlot));
	inside->mask = size - 1;
	for (uint32 i = 0; i < size; i++)
		inside->slots[i].member = -1;
	for (int i = 0; i < inside->nmembers; i++)
	{
		uint32		hash = hash_name(inside->members[i].name,
									 inside->members[i].len);
		uint32		slot = hash & inside->mask;

		while (inside->slots[slot].member >= 0)
			slot = (slot + 1) & inside->mask;
		inside->slots[slot].hash = hash;
		inside->slots[slot].member = i;
		if (inside->members[i].inside != NULL)
			finish(inside->members[i].inside, INNER_GUESSES);
	}
	for (int i = 0; i < inside->nelements; i++)
		if (inside->elements[i].inside != NULL)
			finish(inside->elements[i].inside, INNER_GUESSES);

	inside->nguesses = nguesses;
	inside->guesses = palloc(nguesses * sizeof(Guess));
	for (int i = 0; i < nguesses; i++)
		inside->guesses[i].len = -1;
}

/* What column_map says of a column, or NULL. */
static const KeColumnPath *
path_of(const KeSubscriptionOptions *options, const char *column)
{
	if (options == NULL)
		return NULL;
	for (int i = 0; i < options->ncolumn_map; i++)
		if (strcmp(options->column_map[i].column, column) == 0)
			return &options->column_map[i];
	return NULL;
}

KeFieldMap *
ke_field_map_make(TupleDesc tupdesc, const KeSubscriptionOptions *options,
				  bool is_key, MemoryContext parent)
{
	MemoryContext old = MemoryContextSwitchTo(parent);
	KeFieldMap *map = palloc0(sizeof(KeFieldMap));

	map->tupdesc = CreateTupleDescCopy(tupdesc);
	map->snake_case = options != NULL &&
		options->field_names == KE_NAMES_SNAKE_CASE;
	map->next = palloc(tupdesc->natts * sizeof(int));
	map->by_name = palloc(tupdesc->natts * sizeof(int));
	map->root.attribute = -1;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		char	   *name = NameStr(TupleDescAttr(map->tupdesc, i)->attname);
		const KeColumnPath *path = path_of(options, name);
		KePathStep	own = {name, strlen(name), 0};

		if (TupleDescAttr(map->tupdesc, i)->attisdropped)
			continue;
		if (path == NULL)
			add_path(map, i, &own, 1);
		else
			add_path(map, i, path->steps, path->nsteps);
		if (path != NULL && is_key)
			map->by_name[map->nby_name++] = i;
	}
	finish(inside_of(map, &map->root), ROOT_GUESSES);
	MemoryContextSwitchTo(old);
	return map;
}

void
ke_field_map_check(TupleDesc tupdesc, const KeSubscriptionOptions *options)
{
	for (int i = 0; i < options->ncolumn_map; i++)
	{
		const char *column = options->column_map[i].column;
		bool		found = false;

		for (int n = 0; n < tupdesc->natts && !found; n++)
			found = !TupleDescAttr(tupdesc, n)->attisdropped &&
				strcmp(NameStr(TupleDescAttr(tupdesc, n)->attname),
					   column) == 0;
		if (!found)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of option column_map does not exist",
							column),
					 errhint("Change the option with kafka_subscription_alter.")));
	}
}

/* -------------------------------------------------------------- finding */

static inline bool
is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static inline bool
is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* userId, UserID, user-id: user_id; HTTPServer: http_server. */
int
ke_field_map_snake_case(const char *name, int len, char *dst)
{
	char	   *start = dst;

	for (int i = 0; i < len; i++)
	{
		bool		begins = is_upper(name[i]) && i > 0 &&
			(is_lower_or_digit(name[i - 1]) ||
			 (is_upper(name[i - 1]) && i + 1 < len &&
			  name[i + 1] >= 'a' && name[i + 1] <= 'z'));

		if (begins)
			*dst++ = '_';
		if (name[i] == '-')
			*dst++ = '_';
		else
			*dst++ = is_upper(name[i]) ? name[i] + ('a' - 'A') : name[i];
	}
	return (int) (dst - start);
}

/* The member of that name, or -1. */
static int
look_up(const Inside *inside, const char *name, int len)
{
	uint32		hash = hash_name(name, len);
	uint32		slot = hash & inside->mask;
	int			member;

	while ((member = inside->slots[slot].member) >= 0)
	{
		const Place *place = &inside->members[member];

		if (inside->slots[slot].hash == hash && place->len == len &&
			memcmp(place->name, name, len) == 0)
			return member;
		slot = (slot + 1) & inside->mask;
	}
	return -1;
}

static int
look_up_renamed(const Inside *inside, const char *name, int len)
{
	char		renamed[2 * NAMEDATALEN];

	if (len >= NAMEDATALEN)
		return -1;
	return look_up(inside, renamed,
				   ke_field_map_snake_case(name, len, renamed));
}

/*
 * The member that the nth field of an object, with this key, is; or -1.
 */
static int
member_of_key(const KeFieldMap *map, Inside *inside, const KeJsonNode *key,
			  int nth, bool *renamed)
{
	const char *name = key->text;
	int32		len = key->len;
	Guess	   *guess = nth < inside->nguesses ? &inside->guesses[nth] : NULL;
	int			member;

	if (key->escaped)
		name = ke_json_scan_characters(key, &len);
	if (guess != NULL && guess->len == len &&
		memcmp(guess->name, name, len) == 0)
	{
		*renamed = guess->renamed;
		return guess->member;
	}

	member = look_up(inside, name, len);
	*renamed = false;
	if (member < 0 && map->snake_case && inside == map->root.inside)
	{
		member = look_up_renamed(inside, name, len);
		*renamed = member >= 0;
	}
	if (guess != NULL && len < NAMEDATALEN)
	{
		memcpy(guess->name, name, len);
		guess->len = len;
		guess->member = member;
		guess->renamed = *renamed;
	}
	return member;
}

/* Is this value the one of a field that has the attribute's very name? */
static bool
has_own_name(const KeFieldMap *map, const KeJson *json, int value,
			 int attribute)
{
	const char *name = NameStr(TupleDescAttr(map->tupdesc,
											 attribute)->attname);
	int32		len;
	const char *key = ke_json_scan_characters(&json->nodes[value - 1], &len);

	return strlen(name) == len && memcmp(name, key, len) == 0;
}

static void find_inside(const KeFieldMap *map, Inside *inside,
						const KeJson *json, int node, int *found);

/* The place's value is this node. */
static inline void
settle(const KeFieldMap *map, const Place *place, const KeJson *json,
	   int node, bool renamed, int *found)
{
	for (int i = place->attribute; i >= 0; i = map->next[i])
	{
		/* a field with the column's very name is never overridden */
		if (renamed && found[i] >= 0 && has_own_name(map, json, found[i], i))
			continue;
		found[i] = node;
	}
	if (place->inside != NULL)
		find_inside(map, place->inside, json, node, found);
}

/* Whatever was found in an earlier field of the name does not count. */
static void
find_inside(const KeFieldMap *map, Inside *inside, const KeJson *json,
			int node, int *found)
{
	const KeJsonNode *value = &json->nodes[node];
	int			count = value->count;
	int			at = node + 1;

	for (int i = 0; i < inside->nattributes; i++)
		found[inside->attributes[i]] = -1;

	if (value->kind == KE_JSON_OBJECT)
	{
		for (int i = 0; i < count; i++)
		{
			bool		renamed;
			int			member = member_of_key(map, inside, &json->nodes[at],
											   i, &renamed);

			if (member >= 0)
				settle(map, &inside->members[member], json, at + 1, renamed,
					   found);
			at = json->nodes[at + 1].next;
		}
	}
	else if (value->kind == KE_JSON_ARRAY)
	{
		for (int i = 0; i < count && i <= inside->last_element; i++)
		{
			for (int n = 0; n < inside->nelements; n++)
				if (inside->elements[n].index == i)
					settle(map, &inside->elements[n], json, at, false, found);
			at = json->nodes[at].next;
		}
	}
}

static const char *
article_and_kind(const KeJsonNode *node)
{
	switch ((KeJsonKind) node->kind)
	{
		case KE_JSON_NULL:
			return "null";
		case KE_JSON_FALSE:
		case KE_JSON_TRUE:
			return "a boolean";
		case KE_JSON_NUMBER:
			return "a number";
		case KE_JSON_STRING:
			return node->verbatim ? "plain text" : "a string";
		case KE_JSON_ARRAY:
			return "an array";
		case KE_JSON_OBJECT:
			return "an object";
	}
	pg_unreachable();
}

static void
check_root(const KeFieldMap *map, const KeJson *json, int root)
{
	const KeJsonNode *node = &json->nodes[root];
	const Inside *inside = map->root.inside;

	if (node->kind == KE_JSON_OBJECT || inside->nmembers == 0 ||
		(node->kind == KE_JSON_ARRAY && inside->nelements > 0))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s is not a JSON object", json->subject),
			 errdetail("It is %s.", article_and_kind(node))));
}

/*
 * Is this key the attribute's name, or does field_names make that of it?
 */
static bool
names_attribute(const KeFieldMap *map, const KeJsonNode *node, int attribute)
{
	const char *name = NameStr(TupleDescAttr(map->tupdesc,
											 attribute)->attname);
	char		renamed[2 * NAMEDATALEN];
	int32		len;
	const char *key = ke_json_scan_characters(node, &len);

	if (map->snake_case && len < NAMEDATALEN)
	{
		len = ke_field_map_snake_case(key, len, renamed);
		key = renamed;
	}
	return strlen(name) == len && memcmp(name, key, len) == 0;
}

/* An attribute that was not found at its path, by its name. */
static void
find_by_name(const KeFieldMap *map, const KeJson *json, int root,
			 int attribute, int *found)
{
	int			at = root + 1;

	if (json->nodes[root].kind != KE_JSON_OBJECT)
		return;
	for (int i = 0; i < json->nodes[root].count; i++)
	{
		if (names_attribute(map, &json->nodes[at], attribute))
			found[attribute] = at + 1;
		at = json->nodes[at + 1].next;
	}
}

void
ke_field_map_find(KeFieldMap *map, const KeJson *json, int root, int *found)
{
	check_root(map, json, root);
	settle(map, &map->root, json, root, false, found);
	for (int i = 0; i < map->nby_name; i++)
		if (found[map->by_name[i]] < 0)
			find_by_name(map, json, root, map->by_name[i], found);
}
