/*
 * sink_random.c
 *	  JSON as nobody would write it, from a seed.
 */
#include "postgres.h"
#include "core/compat.h"

#include "sink_random.h"

/* What a field of some type may hold, as JSON. */
static const char *const scalars[] = {
	"0", "1", "-1", "42", "-0", "007", "1.0", "1e3", "12.5", "0.00", "-0.10",
	"1.005", "99999.995", "123456789012345678", "9223372036854775807",
	"9223372036854775808", "-9223372036854775808", "2147483648", "32768",
	"0.1", "0.30000000000000004", "3.4028236e38", "1e308", "1e309", "1e-400",
	"16777217", "123456789.123456789", "4.35", "1234567.8", "0.0000001",
	"100000000000000000000000000000000000000000000000000000000000000000001",
	"0.000000000000000000000000000000000000000000000000000000000000000001",
	"\"0\"", "\"42\"", "\" 42 \"", "\"+5\"", "\"-0\"", "\"007\"", "\"1e3\"",
	"\"12.50\"", "\"12.345\"", "\"NaN\"", "\"Infinity\"", "\"-inf\"",
	"\"0x1F\"", "\"\"", "\" \"", "true", "false", "null", "\"true\"",
	"\"t\"", "\"off\"", "\"maybe\"", "\"abc\"", "\"abcdef\"", "\"abcde  \"",
	"\"a\\tb\\\"c\\\\\"", "\"\\u00e9\\u20ac\"", "\"\\ud83d\\ude00\"",
	"\"\xc3\xa9t\xc3\xa9\"", "\"\xf0\x9f\x98\x80\"",
	"\"2024-05-01\"", "\"2024-02-29\"", "\"2023-02-29\"", "\"0001-01-01\"",
	"\"0000-01-01\"", "\"9999-12-31\"", "\"10000-01-01\"", "\"2024-5-1\"",
	"\"2024-05-01T12:34:56Z\"", "\"2024-05-01T12:34:56.789Z\"",
	"\"2024-05-01T12:34:56.123456+02:00\"", "\"2024-05-01 12:34:56-0330\"",
	"\"2024-05-01T12:34:56.1234567Z\"", "\"2024-05-01T12:34:56\"",
	"\"2024-05-01T12:34:56.5\"", "\"2024-05-01T12:34:56.\"",
	"\"2024-05-01t12:34:56z\"", "\"2024-05-01T12:34Z\"",
	"\"2024-05-01T24:00:00Z\"", "\"2024-05-01T23:59:60Z\"",
	"\"2024-05-01T12:34:56+15:59\"", "\"2024-05-01T12:34:56-16:00\"",
	"\"2024-05-01T12:34:56+05\"", "\"2024-05-01T12:34:56 Europe/Paris\"",
	"\"2024-13-01T00:00:00Z\"", "\"infinity\"", "\"44-03-15 BC\"",
	"\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
	"\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\"",
	"\"{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}\"",
	"\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1\"",
	"\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g\"",
	"\"\\\\x6162\"", "\"\\\\xzz\"", "\"low\"", "\"high\"", "\"{1,2}\"",
	"\"(1,abc)\"", "\"1 day\"", "\"10.0.0.1\"", "\"(1,2)\"",
	"{}", "[]", "[1,2,3]", "[[1,2],[3,4]]", "[[1],[2,3]]", "[1,\"x\",null]",
	"[\"a\",null]", "{\"x\":1,\"y\":\"abc\"}", "{\"x\":\"no\"}",
	"{\"y\":null,\"z\":[1]}", "[{\"x\":1}]", "[\"2024-05-01\"]"
};

int
unit_random_below(pg_prng_state *state, int n)
{
	return (int) pg_prng_uint64_range(state, 0, n - 1);
}

static const char *
pick(pg_prng_state *state, const char *const *choices, int n)
{
	return choices[unit_random_below(state, n)];
}

#define PICK(state, choices) pick(state, choices, lengthof(choices))

static void
add_space(pg_prng_state *state, StringInfo out)
{
	static const char *const spaces[] = {" ", "\n", "\t", "\r", "  \n\t "};

	if (unit_random_below(state, 8) == 0)
		appendStringInfoString(out, PICK(state, spaces));
}

static void
add_number(pg_prng_state *state, StringInfo out)
{
	static const char *const exponents[] = {
		"e5", "E+3", "e-7", "e0", "e200", "E-300"
	};
	int			digits = 1 + unit_random_below(state, 12);

	if (unit_random_below(state, 40) == 0)
		digits += unit_random_below(state, 150);
	if (unit_random_below(state, 4) == 0)
		appendStringInfoChar(out, '-');
	if (unit_random_below(state, 4) == 0)
		appendStringInfoChar(out, '0');
	else
	{
		appendStringInfoChar(out, '1' + unit_random_below(state, 9));
		for (int i = 1; i < digits; i++)
			appendStringInfoChar(out, '0' + (unit_random_below(state, 3) == 0
											 ? 0 :
											 unit_random_below(state, 10)));
	}
	if (unit_random_below(state, 2) == 0)
	{
		digits = 1 + unit_random_below(state, 9);
		if (unit_random_below(state, 40) == 0)
			digits += unit_random_below(state, 100);
		appendStringInfoChar(out, '.');
		for (int i = 0; i < digits; i++)
			appendStringInfoChar(out, '0' + (unit_random_below(state, 2) == 0
											 ? 0 :
											 unit_random_below(state, 10)));
	}
	if (unit_random_below(state, 12) == 0)
		appendStringInfoString(out, PICK(state, exponents));
}

static void
add_string(pg_prng_state *state, StringInfo out)
{
	static const char *const pieces[] = {
		"\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u0041",
		"\\u00e9", "\\u20AC", "\\ud83d\\ude00", "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80", "\x7f", " ", "abc", "0123456789abcdef", "'"
	};
	static const char *const bad[] = {
		"\\u0000", "\\ud83d", "\\ude00", "\\ud83dx", "\\ud83d\\n", "\\x",
		"\\ud83d\\ud83d", "\\u12", "\x01", "\n", "\xff", "\xc3", "\\u00zz"
	};
	int			n = unit_random_below(state, 6);

	appendStringInfoChar(out, '"');
	while (n-- > 0)
	{
		if (unit_random_below(state, 400) == 0)
			appendStringInfoString(out, PICK(state, bad));
		else if (unit_random_below(state, 3) == 0)
			appendStringInfoString(out, PICK(state, pieces));
		else
			for (int i = unit_random_below(state, 9); i > 0; i--)
				appendStringInfoChar(out, 'a' + unit_random_below(state, 26));
	}
	appendStringInfoChar(out, '"');
}

static int
count_of_members(pg_prng_state *state)
{
	if (unit_random_below(state, 60) == 0)
		return unit_random_below(state, 150);
	return unit_random_below(state, 7);
}

void
unit_random_json(pg_prng_state *state, StringInfo out, int depth)
{
	static const char *const words[] = {"null", "true", "false"};
	int			kind = unit_random_below(state, depth > 0 ? 10 : 7);
	bool		is_object = kind >= 8;
	int			members;

	add_space(state, out);
	if (kind < 2)
		appendStringInfoString(out, PICK(state, words));
	else if (kind < 5)
		add_number(state, out);
	else if (kind < 7)
		add_string(state, out);
	else
	{
		members = count_of_members(state);
		appendStringInfoChar(out, is_object ? '{' : '[');
		for (int i = 0; i < members; i++)
		{
			if (i > 0)
				appendStringInfoChar(out, ',');
			add_space(state, out);
			if (is_object && unit_random_below(state, 3) == 0)
				appendStringInfo(out, "\"k%d\":",
								 unit_random_below(state, 5));
			else if (is_object)
			{
				add_string(state, out);
				add_space(state, out);
				appendStringInfoChar(out, ':');
			}
			unit_random_json(state, out, depth - 1);
		}
		add_space(state, out);
		appendStringInfoChar(out, is_object ? '}' : ']');
	}
	add_space(state, out);
}

void
unit_random_object(pg_prng_state *state, StringInfo out, const char **names,
				   int nnames)
{
	int			members = unit_random_below(state, 2) == 0 ? 1
		: unit_random_below(state, 6);
	int			kind;

	appendStringInfoChar(out, '{');
	for (int i = 0; i < members; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		add_space(state, out);
		if (unit_random_below(state, 10) == 0)
			add_string(state, out);
		else
			appendStringInfo(out, "\"%s\"",
							 names[unit_random_below(state, nnames)]);
		add_space(state, out);
		appendStringInfoChar(out, ':');
		kind = unit_random_below(state, 10);
		if (kind < 8)
			appendStringInfoString(out, PICK(state, scalars));
		else if (kind == 8)
			add_number(state, out);
		else
			unit_random_json(state, out, 2);
	}
	appendStringInfoChar(out, '}');
}

void
unit_random_damage(pg_prng_state *state, StringInfo text)
{
	static const char bytes[] = "{}[]\",:\\0123-+.eEtfnu \n\xff\xc3\xa9\x01";
	int			place;

	if (text->len == 0 || unit_random_below(state, 4) != 0)
		return;
	place = unit_random_below(state, text->len);
	switch (unit_random_below(state, 5))
	{
		case 0:
			text->data[place] = bytes[unit_random_below(state,
														sizeof(bytes))];
			break;
		case 1:
			memmove(text->data + place, text->data + place + 1,
					text->len - place - 1);
			text->len--;
			break;
		case 2:
			text->len = place;
			break;
		case 3:
			appendStringInfoChar(text,
								 bytes[unit_random_below(state,
														 sizeof(bytes))]);
			break;
		default:
			appendBinaryStringInfo(text, pnstrdup(text->data + place,
												  text->len - place),
								   text->len - place);
			break;
	}
	text->data[text->len] = '\0';
}
