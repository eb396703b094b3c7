/*
 * dlq_pending.c
 *	  How many letters of a DLQ topic's partition are pending.
 */
#include "postgres.h"
#include "core/compat.h"

#include "state/dlq_pending.h"

/* Kafka's word, else the mirror's, else the first letter there is. */
static int64
position_of(const KeDlqRange *range, const List *mirror)
{
	int64		position = range->committed;
	ListCell   *lc;

	foreach(lc, mirror)
	{
		const KeDlqPosition *mirrored = (KeDlqPosition *) lfirst(lc);

		if (position < 0 && mirrored->partition == range->partition)
			position = mirrored->next;
	}
	return Max(position, range->low);
}

/*
 * What lies from the position on, without what was moved alone, and what
 * failed behind it.
 */
int64
ke_dlq_pending_in_range(const KeDlqRange *range, const List *mirror,
						const List *letters)
{
	int64		position = position_of(range, mirror);
	int64		pending = Max(range->high - position, 0);
	ListCell   *lc;

	foreach(lc, letters)
	{
		const KeDlqLetter *letter = (KeDlqLetter *) lfirst(lc);

		if (letter->partition != range->partition ||
			letter->offset < range->low || letter->offset >= range->high)
			continue;
		if (letter->moved && letter->offset >= position)
			pending--;
		else if (!letter->moved && letter->offset < position)
			pending++;
	}
	return pending;
}
