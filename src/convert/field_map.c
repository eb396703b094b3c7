/*
 * field_map.c
 *	  What each column is taken from: names and paths as a tree of places.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"

#include "convert/field_map_internal.h"

#define ROOT_GUESSES 64
#define INNER_GUESSES 16

static KeFieldInside *
inside_of(KeFieldMap *map, KeFieldPlace *place)
{
	KeFieldInside *inside = place->inside;

	if (inside != NULL)
		return inside;
	inside = palloc0(sizeof(KeFieldInside));
	inside->allocated = 8;
	inside->members = palloc0(inside->allocated * sizeof(KeFieldPlace));
	inside->elements = palloc0(inside->allocated * sizeof(KeFieldPlace));
	inside->last_element = -1;
	inside->attributes = palloc(map->tupdesc->natts * sizeof(int));
	place->inside = inside;
	return inside;
}

static void
grow(KeFieldInside *inside)
{
	inside->allocated *= 2;
	inside->members = repalloc(inside->members,
							   inside->allocated * sizeof(KeFieldPlace));
	inside->elements = repalloc(inside->elements,
								inside->allocated * sizeof(KeFieldPlace));
}

static KeFieldPlace *
member_for(KeFieldInside *inside, const char *name, int len)
{
	KeFieldPlace *place;

	for (int i = 0; i < inside->nmembers; i++)
	{
		place = &inside->members[i];
		if (place->len == len && memcmp(place->name, name, len) == 0)
			return place;
	}
	if (inside->nmembers == inside->allocated)
		grow(inside);
	place = &inside->members[inside->nmembers++];
	memset(place, 0, sizeof(KeFieldPlace));
	place->name = pnstrdup(name, len);
	place->len = len;
	place->attribute = -1;
	return place;
}

static KeFieldPlace *
element_for(KeFieldInside *inside, int index)
{
	KeFieldPlace *place;

	for (int i = 0; i < inside->nelements; i++)
		if (inside->elements[i].index == index)
			return &inside->elements[i];
	if (inside->nelements == inside->allocated)
		grow(inside);
	place = &inside->elements[inside->nelements++];
	memset(place, 0, sizeof(KeFieldPlace));
	place->index = index;
	place->attribute = -1;
	inside->last_element = Max(inside->last_element, index);
	return place;
}

/* The attribute's value is at the end of these steps. */
static void
add_path(KeFieldMap *map, int attribute, const KePathStep *steps, int nsteps)
{
	KeFieldPlace *place = &map->root;

	for (int i = 0; i < nsteps; i++)
	{
		KeFieldInside *inside = inside_of(map, place);

		inside->attributes[inside->nattributes++] = attribute;
		place = steps[i].name == NULL ? element_for(inside, steps[i].index)
			: member_for(inside, steps[i].name, steps[i].len);
	}
	map->next[attribute] = place->attribute;
	place->attribute = attribute;
}

/* Make the tables of names, now that all places are known. */
static void
finish(KeFieldInside *inside, int nguesses)
{
	uint32		size = 8;

	while (size < 2 * inside->nmembers)
		size *= 2;
	inside->slots = palloc(size * sizeof(KeFieldSlot));
	inside->mask = size - 1;
	for (uint32 i = 0; i < size; i++)
		inside->slots[i].member = -1;
	for (int i = 0; i < inside->nmembers; i++)
	{
		uint32		hash = ke_field_map_hash(inside->members[i].name,
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
	inside->guesses = palloc(nguesses * sizeof(KeFieldGuess));
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

	map->context = parent;
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
