/*
 * field_find.c
 *	  Which field of an object each column's value is.
 *
 * The messages of a topic look alike: at each place, most fields are what they
 * were in the last message, and are found without a hash.  Where a schema says
 * what the fields are, that is looked up once for the schema.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"

#include "convert/field_find.h"
#include "convert/field_map_internal.h"

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
ke_field_find_snake_case(const char *name, int len, char *dst)
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
look_up(const KeFieldInside *inside, const char *name, int len)
{
	uint32		hash = ke_field_map_hash(name, len);
	uint32		slot = hash & inside->mask;
	int			member;

	while ((member = inside->slots[slot].member) >= 0)
	{
		const KeFieldPlace *place = &inside->members[member];

		if (inside->slots[slot].hash == hash && place->len == len &&
			memcmp(place->name, name, len) == 0)
			return member;
		slot = (slot + 1) & inside->mask;
	}
	return -1;
}

static int
look_up_renamed(const KeFieldInside *inside, const char *name, int len)
{
	char		renamed[2 * NAMEDATALEN];

	if (len >= NAMEDATALEN)
		return -1;
	return look_up(inside, renamed,
				   ke_field_find_snake_case(name, len, renamed));
}

/* The member that a field of this name is, or -1. */
static int
member_of_name(const KeFieldMap *map, const KeFieldInside *inside,
			   const char *name, int len, bool *renamed)
{
	int			member = look_up(inside, name, len);

	*renamed = false;
	if (member < 0 && map->snake_case && inside == map->root.inside)
	{
		member = look_up_renamed(inside, name, len);
		*renamed = member >= 0;
	}
	return member;
}

/*
 * The member that the nth field of an object, with this key, is; or -1.
 */
static int
member_of_key(const KeFieldMap *map, KeFieldInside *inside,
			  const KeJsonNode *key, int nth, bool *renamed)
{
	const char *name = key->text;
	int32		len = key->len;
	KeFieldGuess *guess = nth < inside->nguesses ? &inside->guesses[nth]
		: NULL;
	int			member;

	if (key->escaped)
		name = ke_json_scan_characters(key, &len);
	if (guess != NULL && guess->len == len &&
		memcmp(guess->name, name, len) == 0)
	{
		*renamed = guess->renamed;
		return guess->member;
	}

	member = member_of_name(map, inside, name, len, renamed);
	if (guess != NULL && len < NAMEDATALEN)
	{
		memcpy(guess->name, name, len);
		guess->len = len;
		guess->member = member;
		guess->renamed = *renamed;
	}
	return member;
}

static inline bool
is_own_name(const KeFieldMap *map, int attribute, const char *name, int len)
{
	const char *own = NameStr(TupleDescAttr(map->tupdesc,
											attribute)->attname);

	return strlen(own) == len && memcmp(own, name, len) == 0;
}

/* Is this value the one of a field that has the attribute's very name? */
static bool
has_own_name(const KeFieldMap *map, const KeJson *json, int value,
			 int attribute)
{
	int32		len;
	const char *key = ke_json_scan_characters(&json->nodes[value - 1], &len);

	return is_own_name(map, attribute, key, len);
}

static void find_inside(const KeFieldMap *map, KeFieldInside *inside,
						const KeJson *json, int node, int *found);

/* The place's value is this node. */
static inline void
settle(const KeFieldMap *map, const KeFieldPlace *place, const KeJson *json,
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
find_inside(const KeFieldMap *map, KeFieldInside *inside, const KeJson *json,
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
	const KeFieldInside *inside = map->root.inside;

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
	char		renamed[2 * NAMEDATALEN];
	int32		len;
	const char *key = ke_json_scan_characters(node, &len);

	if (map->snake_case && len < NAMEDATALEN)
	{
		len = ke_field_find_snake_case(key, len, renamed);
		key = renamed;
	}
	return is_own_name(map, attribute, key, len);
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

/* ---------------------------------------------------- objects of a shape */

/* The nth field of the shape has this name: what settle() would do with it. */
static void
learn_field(const KeFieldMap *map, const KeJsonShape *shape, int nth,
			KeFieldKnown *known)
{
	KeFieldInside *inside = map->root.inside;
	const KeJsonName *name = &shape->names[nth];
	bool		renamed;
	int			member = member_of_name(map, inside, name->text, name->len,
										&renamed);

	if (member < 0)
		return;
	for (int i = inside->members[member].attribute; i >= 0; i = map->next[i])
	{
		const KeJsonName *found = known->nth[i] < 0 ? NULL
			: &shape->names[known->nth[i]];

		if (renamed && found != NULL &&
			is_own_name(map, i, found->text, found->len))
			continue;
		known->nth[i] = nth;
	}
	if (inside->members[member].inside != NULL)
		known->nth_inside[member] = nth;
}

static void
set_wanted(const KeFieldMap *map, const KeJsonShape *shape,
		   KeFieldKnown *known)
{
	const KeFieldInside *inside = map->root.inside;
	bool	   *wanted = MemoryContextAllocZero(map->context,
												Max(shape->count, 1));
	int			count = 0;

	for (int i = 0; i < map->tupdesc->natts; i++)
		if (known->nth[i] >= 0)
			wanted[known->nth[i]] = true;
	for (int i = 0; i < inside->nmembers; i++)
		if (known->nth_inside[i] >= 0)
			wanted[known->nth_inside[i]] = true;
	for (int i = 0; i < shape->count; i++)
		count += wanted[i];
	if (count > 0 && count < shape->count)
		known->wanted = wanted;
	else
		pfree(wanted);
}

static KeFieldKnown *
learn(KeFieldMap *map, const KeJsonShape *shape)
{
	KeFieldKnown *known = &map->known[map->oldest];
	int			natts = map->tupdesc->natts;
	int			nmembers = map->root.inside->nmembers;

	map->oldest = (map->oldest + 1) % KE_FIELD_KNOWN;
	if (known->nth == NULL)
		known->nth = MemoryContextAlloc(map->context,
										Max(natts, 1) * sizeof(int));
	if (known->nth_inside == NULL)
		known->nth_inside = MemoryContextAlloc(map->context,
											   Max(nmembers, 1) *
											   sizeof(int));
	known->shape = 0;
	memset(known->nth, -1, natts * sizeof(int));
	memset(known->nth_inside, -1, nmembers * sizeof(int));
	if (known->wanted != NULL)
		pfree(known->wanted);
	known->wanted = NULL;
	for (int i = 0; i < shape->count; i++)
		learn_field(map, shape, i, known);
	set_wanted(map, shape, known);
	known->shape = shape->id;
	return known;
}

/* NULL: the names of the fields do not tell all. */
static const KeFieldKnown *
know(KeFieldMap *map, const KeJsonShape *shape)
{
	if (shape == NULL || map->root.attribute >= 0 || map->nby_name > 0)
		return NULL;
	for (int i = 0; i < KE_FIELD_KNOWN; i++)
		if (map->known[i].shape == shape->id)
			return &map->known[i];
	return learn(map, shape);
}

const bool *
ke_field_find_wanted(KeFieldMap *map, const KeJsonShape *shape)
{
	const KeFieldKnown *known = know(map, shape);

	return known == NULL ? NULL : known->wanted;
}

static void
find_known(const KeFieldMap *map, const KeFieldKnown *known,
		   const KeJson *json, int *found)
{
	const KeFieldInside *inside = map->root.inside;

	for (int i = 0; i < inside->nattributes; i++)
	{
		int			attribute = inside->attributes[i];
		int			nth = known->nth[attribute];

		found[attribute] = nth < 0 ? -1 : json->members[nth];
	}
	for (int i = 0; i < inside->nmembers; i++)
		if (known->nth_inside[i] >= 0)
			find_inside(map, inside->members[i].inside, json,
						json->members[known->nth_inside[i]], found);
}

void
ke_field_find_nodes(KeFieldMap *map, const KeJson *json, int root, int *found)
{
	const KeFieldKnown *known = root == 0 ? know(map, json->shape) : NULL;

	if (known != NULL)
	{
		find_known(map, known, json, found);
		return;
	}
	check_root(map, json, root);
	settle(map, &map->root, json, root, false, found);
	for (int i = 0; i < map->nby_name; i++)
		if (found[map->by_name[i]] < 0)
			find_by_name(map, json, root, map->by_name[i], found);
}
