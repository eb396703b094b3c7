/*
 * json_nodes.c
 *	  A value as a flat array of nodes, whatever it was written as.
 */
#include "postgres.h"
#include "core/compat.h"

#include <math.h>

#include "common/base64.h"
#include "utils/memutils.h"

#include "convert/decimal.h"
#include "convert/json_nodes.h"
#include "convert/print_scalar.h"

#define INITIAL_NODES 256
#define INITIAL_ROOM 8192

/* What one huge message grew is not kept for the small ones after it. */
#define KEPT_NODES 65536
#define KEPT_ROOM (1024 * 1024)

struct KeJsonChunk
{
	KeJsonChunk *next;			/* older, and full */
	Size		size;			/* of data */
	char		data[FLEXIBLE_ARRAY_MEMBER];
};

void
ke_json_nodes_grow(KeJson *json)
{
	int			allocated = Max(json->allocated * 2, INITIAL_NODES);

	if (allocated > MaxAllocSize / sizeof(KeJsonNode))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s consists of too many JSON values",
						json->subject)));
	if (json->nodes == NULL)
		json->nodes = MemoryContextAlloc(json->context,
										 allocated * sizeof(KeJsonNode));
	else
		json->nodes = repalloc(json->nodes, allocated * sizeof(KeJsonNode));
	json->allocated = allocated;
}

/* A new first chunk. */
static void
add_chunk(KeJson *json, Size size)
{
	KeJsonChunk *chunk = MemoryContextAllocHuge(json->context,
												offsetof(KeJsonChunk, data) +
												size);

	chunk->size = size;
	chunk->next = json->chunks;
	json->chunks = chunk;
	json->room = chunk->data;
	json->room_end = chunk->data + size;
}

/* Of several chunks, none is kept: the next one will be as large as all. */
static void
reset_room(KeJson *json)
{
	Size		total = 0;

	if (json->chunks == NULL)
		return;
	if (json->chunks->next == NULL && json->chunks->size <= KEPT_ROOM)
	{
		json->room = json->chunks->data;
		return;
	}
	while (json->chunks != NULL)
	{
		KeJsonChunk *chunk = json->chunks;

		json->chunks = chunk->next;
		total += chunk->size;
		pfree(chunk);
	}
	json->room = json->room_end = NULL;
	add_chunk(json, Min(total, KEPT_ROOM));
}

void
ke_json_nodes_reset(KeJson *json)
{
	if (json->allocated > KEPT_NODES)
	{
		pfree(json->nodes);
		json->nodes = NULL;
		json->allocated = 0;
	}
	json->nnodes = 0;
	json->text = NULL;
	json->end = NULL;
	json->field = NULL;
	json->lazy = false;
	json->shape = NULL;
	reset_room(json);
}

char *
ke_json_nodes_room(KeJson *json, Size size)
{
	char	   *room;

	if (json->room_end - json->room < size)
		add_chunk(json, Max(size, json->chunks == NULL ? INITIAL_ROOM
							: json->chunks->size));
	room = json->room;
	json->room += size;
	return room;
}

void *
ke_json_nodes_aligned(KeJson *json, Size size)
{
	return (void *) MAXALIGN(ke_json_nodes_room(json,
												size + MAXIMUM_ALIGNOF));
}

static void
print_bytes(KeJson *json, KeJsonNode *node)
{
	int			room = pg_b64_enc_len(node->count);
	char	   *text = ke_json_nodes_room(json, room);

	node->len = ke_b64_encode(node->value.bytes, node->count, text, room);
	node->text = text;
}

static int
print_float(char *dst, float8 value, KeJsonForm form)
{
	if (isnan(value))
	{
		memcpy(dst, "NaN", 3);
		return 3;
	}
	if (isinf(value))
	{
		memcpy(dst, "-Infinity", 9);
		if (value < 0)
			return 9;
		memmove(dst, dst + 1, 8);
		return 8;
	}
	return form == KE_JSON_FORM_FLOAT4 ?
		ke_print_scalar_float4(dst, (float4) value) :
		ke_print_scalar_float8(dst, value);
}

static int
print_form(char *dst, const KeJsonNode *node)
{
	switch ((KeJsonForm) node->form)
	{
		case KE_JSON_FORM_TEXT:
		case KE_JSON_FORM_BYTES:
		case KE_JSON_FORM_BITS:
		case KE_JSON_FORM_JSON_NULL:
		case KE_JSON_FORM_UNAVAILABLE:
			break;
		case KE_JSON_FORM_INT:
			return ke_print_scalar_int(dst, node->value.integer);
		case KE_JSON_FORM_FLOAT4:
		case KE_JSON_FORM_FLOAT8:
			return print_float(dst, node->value.number, node->form);
		case KE_JSON_FORM_DECIMAL:
			return ke_decimal_print_int(dst, node->value.integer, node->count);
		case KE_JSON_FORM_DATE:
			return ke_print_scalar_date(dst, (DateADT) node->value.integer);
		case KE_JSON_FORM_TIME:
			return ke_print_scalar_time(dst, node->value.integer, 6);
		case KE_JSON_FORM_TIMESTAMP:
			return ke_print_scalar_timestamp(dst, node->value.integer);
		case KE_JSON_FORM_TIMESTAMPTZ:
			return ke_print_scalar_timestamptz(dst, node->value.integer);
	}
	pg_unreachable();
}

void
ke_json_nodes_print(const KeJson *const_json, int index)
{
	KeJson	   *json = unconstify(KeJson *, const_json);
	int			end = json->nodes[index].next;

	for (int i = index; i < end; i++)
	{
		KeJsonNode *node = &json->nodes[i];
		char	   *text;

		if (node->form == KE_JSON_FORM_TEXT || node->text != NULL)
			continue;
		if (node->form == KE_JSON_FORM_BYTES)
		{
			print_bytes(json, node);
			continue;
		}
		text = ke_json_nodes_room(json, KE_PRINT_SCALAR_ROOM);
		node->len = print_form(text, node);
		node->text = text;
		json->room = text + node->len;
	}
}
