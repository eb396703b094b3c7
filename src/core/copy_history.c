/*
 * copy_history.c
 *	  The history of a database that a copy belongs to: written, read, and
 *	  compared with what the database knows of its own past.
 */
#include "postgres.h"
#include "core/compat.h"

#include "core/copy_history.h"

#define FORMAT "ke1;s=%llu;d=%u;t=%u;h=%016llx;l=%X/%X"

void
ke_copy_history_format(const KeCopyHistory *history, char *buf)
{
	snprintf(buf, KE_COPY_HISTORY_LEN, FORMAT,
			 (unsigned long long) history->system, history->database,
			 history->timeline, (unsigned long long) history->number,
			 LSN_FORMAT_ARGS(history->lsn));
}

/*
 * Written again it must be what it was: so nothing but what we write is
 * taken, whatever sscanf makes of blanks, signs and numbers that are too
 * large.
 */
bool
ke_copy_history_parse(const char *value, int32 len, KeCopyHistory *history)
{
	char		text[KE_COPY_HISTORY_LEN];
	char		again[KE_COPY_HISTORY_LEN];
	unsigned long long system;
	unsigned long long number;
	unsigned int high;
	unsigned int low;

	if (value == NULL || len <= 0 || len >= KE_COPY_HISTORY_LEN)
		return false;
	memcpy(text, value, len);
	text[len] = '\0';
	memset(history, 0, sizeof(KeCopyHistory));
	if (sscanf(text, "ke1;s=%llu;d=%u;t=%u;h=%llx;l=%X/%X", &system,
			   &history->database, &history->timeline, &number, &high,
			   &low) != 6)
		return false;
	history->system = system;
	history->number = number;
	history->lsn = ((uint64) high << 32) | low;
	ke_copy_history_format(history, again);
	return strlen(again) == len && memcmp(again, value, len) == 0;
}

/* Does the database's past go through this place? */
static bool
is_past(const KePast *past, const KeCopyHistory *history)
{
	for (int i = 0; i < past->ntimelines; i++)
	{
		const KeTimeline *timeline = &past->timelines[i];

		if (timeline->timeline == history->timeline)
			return XLogRecPtrIsInvalid(timeline->end) ||
				history->lsn <= timeline->end;
	}
	return false;
}

static bool
is_on_record(const KePast *past, uint64 number)
{
	for (int i = 0; i < past->nnumbers; i++)
		if (past->numbers[i].number == number)
			return true;
	return false;
}

/*
 * A number that is not on record is another history's, under the same number
 * of a timeline; unless the place is older than the record, which goes when
 * the extension is dropped.
 */
KeCopyFate
ke_copy_history_judge(const KePast *past, const KeCopyHistory *history)
{
	if (history->system != past->system ||
		history->database != past->database || past->ntimelines == 0)
		return KE_COPY_ELSEWHERE;
	if (!is_past(past, history))
		return KE_COPY_ORPHAN;
	if (past->nnumbers == 0 || is_on_record(past, history->number) ||
		history->lsn <= past->numbers[0].begun)
		return KE_COPY_KEPT;
	return KE_COPY_ORPHAN;
}
