/*
 * logical_fold.c
 *	  Objects that stand for one value: Debezium's numbers of any scale and
 *	  its shapes.
 */
#include "postgres.h"
#include "core/compat.h"

#include "utils/builtins.h"

#include "convert/logical.h"
#include "convert/logical_fold.h"

/* In the highest byte of a shape's type: the id of its system follows. */
#define EWKB_SRID 0x20

/* The member of that name of the object at index, NULL without. */
static KeJsonNode *
member(KeJson *json, int index, const char *name)
{
	int			at = index + 1;

	for (int i = 0; i < json->nodes[index].count; i++)
	{
		const KeJsonNode *key = &json->nodes[at];

		if (key->len == strlen(name) &&
			memcmp(key->text, name, key->len) == 0)
			return &json->nodes[at + 1];
		at = json->nodes[at + 1].next;
	}
	return NULL;
}

static bool
has_form(const KeJsonNode *node, KeJsonForm form)
{
	return node != NULL && node->form == form;
}

static void
fold_decimal(KeJson *json, int index)
{
	const KeJsonNode *scale = member(json, index, "scale");
	const KeJsonNode *value = member(json, index, "value");
	KeLogical	decimal = {.kind = KE_LOGICAL_DECIMAL};
	const char *bytes;
	int32		len;
	int64		decimals;

	if (!has_form(scale, KE_JSON_FORM_INT) ||
		!has_form(value, KE_JSON_FORM_BYTES) || value->count == 0)
		return;
	bytes = value->value.bytes;
	len = value->count;
	decimals = scale->value.integer;
	if (decimals < KE_LOGICAL_MIN_SCALE || decimals > KE_LOGICAL_MAX_SCALE)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s has a decimal that PostgreSQL cannot hold",
						json->subject),
				 errdetail("Its scale is " INT64_FORMAT ".", decimals)));
	decimal.scale = (int32) decimals;
	json->nnodes = index;
	ke_logical_bytes(json, &decimal, bytes, len);
}

/* As point and PostgreSQL's JSON write it. */
static void
fold_point(KeJson *json, int index)
{
	const KeJsonNode *x = member(json, index, "x");
	const KeJsonNode *y = member(json, index, "y");
	char	   *text;
	int32		len = 0;

	if (!has_form(x, KE_JSON_FORM_FLOAT8) || !has_form(y, KE_JSON_FORM_FLOAT8))
		return;
	if (json->lazy)
		ke_json_nodes_print(json, index);
	text = ke_json_nodes_room(json, x->len + y->len + 3);
	text[len++] = '(';
	memcpy(text + len, x->text, x->len);
	len += x->len;
	text[len++] = ',';
	memcpy(text + len, y->text, y->len);
	len += y->len;
	text[len++] = ')';
	json->nnodes = index;
	ke_json_nodes_add_string(json, text, len);
}

/* A shape with its reference system, as PostGIS reads it. */
static void
fold_geometry(KeJson *json, int index)
{
	const KeJsonNode *wkb = member(json, index, "wkb");
	const KeJsonNode *srid = member(json, index, "srid");
	const char *bytes;
	int32		len;
	char		head[2 * sizeof(uint32) + 1];
	int			nhead = 5;
	bool		little;
	char	   *text;
	int32		ntext;

	if (!has_form(wkb, KE_JSON_FORM_BYTES) || wkb->count < 5)
		return;
	bytes = wkb->value.bytes;
	len = wkb->count;
	memcpy(head, bytes, 5);
	little = head[0] != 0;
	if (has_form(srid, KE_JSON_FORM_INT) &&
		(head[little ? 4 : 1] & EWKB_SRID) == 0)
	{
		uint32		id = (uint32) srid->value.integer;

		head[little ? 4 : 1] |= EWKB_SRID;
		for (int i = 0; i < sizeof(uint32); i++)
			head[5 + i] = (char) (id >> BITS_PER_BYTE * (little ? i : 3 - i));
		nhead = 5 + sizeof(uint32);
	}
	text = ke_json_nodes_room(json, 2 * ((Size) len + sizeof(uint32)));
	ntext = (int32) hex_encode(head, nhead, text);
	ntext += (int32) hex_encode(bytes + 5, len - 5, text + ntext);
	json->nnodes = index;
	ke_json_nodes_add_string(json, text, ntext);
}

void
ke_logical_fold(KeJson *json, const KeLogical *logical, int index)
{
	switch (logical->kind)
	{
		case KE_LOGICAL_VARIABLE_SCALE_DECIMAL:
			fold_decimal(json, index);
			break;
		case KE_LOGICAL_POINT:
			fold_point(json, index);
			break;
		case KE_LOGICAL_GEOMETRY:
			fold_geometry(json, index);
			break;
		default:
			break;
	}
}
