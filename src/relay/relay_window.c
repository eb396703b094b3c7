/*
 * relay_window.c
 *	  The rows of the outbox that a relay has read and not yet done with.
 *
 * A row is one chunk of memory with everything it points to, since it is
 * copied once and freed once, a hundred thousand times per second.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/memutils.h"

#include "core/header_names.h"
#include "relay/relay_window.h"

/* As many as keep all brokers of a cluster busy; a power of two. */
#define WINDOW_ROWS 32768
#define WINDOW_BYTES (32 * 1024 * 1024)

void
ke_relay_window_init(KeRelayWindow *window, MemoryContext parent)
{
	memset(window, 0, sizeof(*window));
	window->context = AllocSetContextCreate(parent,
											"kafka_events relay window",
											ALLOCSET_DEFAULT_SIZES);
	window->rows = MemoryContextAlloc(window->context,
									  WINDOW_ROWS * sizeof(KeRelayRow *));
}

static Size
text_size(const char *text)
{
	return text != NULL ? strlen(text) + 1 : 0;
}

/* The header that the entry gets besides its own; false: it gets none. */
static bool
added_header(const KeOutboxEntry *entry, const char *history,
			 KeHeader *header)
{
	if (entry->row.kind == KE_OUTBOX_EVENT)
	{
		header->name = KE_COPY_MESSAGE_ID;
		header->value = entry->message_id;
	}
	else
	{
		header->name = KE_COPY_HISTORY;
		header->value = history;
	}
	if (header->value == NULL)
		return false;
	header->value_len = strlen(header->value);
	return true;
}

/* With the bytes of everything the row will point to. */
static Size
size_of(const KeOutboxEntry *entry, const char *history)
{
	KeHeader	added;
	const KeOutboxRow *row = &entry->row;
	Size		size = MAXALIGN(sizeof(KeRelayRow));

	size += row->nheaders * sizeof(KeHeader);
	for (int i = 0; i < row->nheaders; i++)
	{
		size += text_size(row->headers[i].name);
		if (row->headers[i].value != NULL)
			size += row->headers[i].value_len;
	}
	if (added_header(entry, history, &added))
		size += sizeof(KeHeader) + added.value_len;
	size += text_size(row->topic) + text_size(row->source_topic);
	if (row->key != NULL)
		size += row->key_len;
	if (row->value != NULL)
		size += row->value_len;

	/* No pointer of an empty value points behind the chunk. */
	return size + 1;
}

static char *
put_bytes(char **end, const char *bytes, Size len)
{
	char	   *copy = *end;

	if (bytes == NULL)
		return NULL;
	memcpy(copy, bytes, len);
	*end += len;
	return copy;
}

static void
put_headers(KeRelayRow *copy, const KeOutboxEntry *entry,
			const char *history, char **end)
{
	KeHeader   *headers = (KeHeader *) (copy + 1);
	const KeOutboxRow *row = &entry->row;
	KeHeader	added;
	bool		adds = added_header(entry, history, &added);

	copy->record.headers = headers;
	copy->record.nheaders = row->nheaders + (adds ? 1 : 0);
	*end = (char *) (headers + copy->record.nheaders);
	for (int i = 0; i < row->nheaders; i++, headers++)
	{
		const KeHeader *from = &row->headers[i];

		headers->name = put_bytes(end, from->name, text_size(from->name));
		headers->value = put_bytes(end, from->value, from->value_len);
		headers->value_len = from->value_len;
	}
	if (adds)
	{
		*headers = added;
		headers->value = put_bytes(end, added.value, added.value_len);
	}
}

static KeRelayRow *
copy_row(MemoryContext context, const KeOutboxEntry *entry,
		 const char *history, Size size)
{
	const KeOutboxRow *row = &entry->row;
	KeRelayRow *copy = MemoryContextAllocExtended(context, size,
												  MCXT_ALLOC_HUGE);
	char	   *end;

	StaticAssertStmt(sizeof(KeRelayRow) == MAXALIGN(sizeof(KeRelayRow)),
					 "headers follow the row");
	memset(copy, 0, sizeof(KeRelayRow));
	copy->mark = entry->mark;
	copy->kind = row->kind;
	copy->state = KE_ROW_WAITING;
	copy->size = size;
	put_headers(copy, entry, history, &end);
	copy->record.topic = put_bytes(&end, row->topic, text_size(row->topic));
	copy->source_topic = put_bytes(&end, row->source_topic,
								   text_size(row->source_topic));
	copy->record.partition = row->partition;
	copy->record.key = put_bytes(&end, row->key, row->key_len);
	copy->record.key_len = row->key_len;
	copy->record.value = put_bytes(&end, row->value, row->value_len);
	copy->record.value_len = row->value_len;
	Assert(end < (char *) copy + size);
	return copy;
}

KeRelayRow *
ke_relay_window_row(const KeRelayWindow *window, uint64 number)
{
	Assert(number >= window->head && number < window->tail);

	return window->rows[number % WINDOW_ROWS];
}

/* A row of any size is taken when it is the only one. */
bool
ke_relay_window_push(KeRelayWindow *window, const KeOutboxEntry *entry,
					 const char *history)
{
	Size		size = size_of(entry, history);

	if (window->tail - window->head == WINDOW_ROWS ||
		(window->tail != window->head && window->bytes + size > WINDOW_BYTES))
		return false;
	window->rows[window->tail % WINDOW_ROWS] =
		copy_row(window->context, entry, history, size);
	window->tail++;
	window->bytes += size;
	return true;
}

bool
ke_relay_window_is_low(const KeRelayWindow *window)
{
	return window->tail - window->head < WINDOW_ROWS / 2 &&
		window->bytes < WINDOW_BYTES / 2;
}

int64
ke_relay_window_retire(KeRelayWindow *window, int64 *published,
					   KeOutboxMark *last)
{
	int64		retired = 0;

	*published = 0;
	while (window->head != window->tail)
	{
		KeRelayRow *row = ke_relay_window_row(window, window->head);

		if (row->state != KE_ROW_PUBLISHED && row->state != KE_ROW_PARKED)
			break;
		if (row->state == KE_ROW_PUBLISHED)
			(*published)++;
		*last = row->mark;
		retired++;
		window->head++;
		window->bytes -= row->size;
		if (row->reason != NULL)
			pfree(row->reason);
		pfree(row);
	}
	return retired;
}
