/*
 * unmatched.c
 *	  Messages none of whose fields is wanted.
 *
 * A message is looked at again only where it is the first of its transaction.
 * What somebody used as a name may be a value (an address, a number): what
 * does not look like a name is left out.
 */
#include "postgres.h"
#include "core/compat.h"

#include "convert/unmatched.h"

#define MAX_NAMES 8
#define MAX_NAME_LEN 40

void
ke_unmatched_reset(KeUnmatched *unmatched)
{
	unmatched->count = 0;
	unmatched->fields.len = unmatched->wanted.len = 0;
	unmatched->fields.more = unmatched->wanted.more = 0;
	unmatched->fields.text[0] = unmatched->wanted.text[0] = '\0';
}

static bool
starts_name(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		c >= 0x80;
}

static bool
looks_like_name(const char *name, int len)
{
	if (len == 0 || len > MAX_NAME_LEN || !starts_name(name[0]))
		return false;
	for (int i = 1; i < len; i++)
	{
		if (!starts_name(name[i]) && !(name[i] >= '0' && name[i] <= '9') &&
			name[i] != '-' && name[i] != '.')
			return false;
	}
	return true;
}

static void
add_name(KeUnmatchedNames *names, const char *name, int len)
{
	int			room = KE_UNMATCHED_NAMES_LEN - names->len;

	/* quotes, comma and blank, and the end */
	if (len + 5 > room)
	{
		names->more++;
		return;
	}
	names->len += snprintf(names->text + names->len, room, "%s\"%.*s\"",
						   names->len > 0 ? ", " : "", len, name);
}

bool
ke_unmatched_note(KeUnmatched *unmatched, const KeJson *json, int root)
{
	int			node = root + 1;

	if (unmatched->count++ > 0)
		return false;
	for (int i = 0; i < json->nodes[root].count; i++)
	{
		const KeJsonNode *key = &json->nodes[node];

		if (i < MAX_NAMES && looks_like_name(key->text, key->len))
			add_name(&unmatched->fields, key->text, key->len);
		else
			unmatched->fields.more++;
		node = json->nodes[node + 1].next;
	}
	return true;
}

void
ke_unmatched_want(KeUnmatched *unmatched, const char *name)
{
	add_name(&unmatched->wanted, name, strlen(name));
}

static char *
list_names(const KeUnmatchedNames *names)
{
	if (names->len == 0)
		return names->more == 0 ? "none" :
			psprintf("%d", names->more);
	if (names->more == 0)
		return pstrdup(names->text);
	return psprintf("%s and %d more", names->text, names->more);
}

char *
ke_unmatched_describe(const KeUnmatched *unmatched, const char *wanted_are)
{
	return psprintf("fields %s; %s %s", list_names(&unmatched->fields),
					wanted_are, list_names(&unmatched->wanted));
}
