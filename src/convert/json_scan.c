/*
 * json_scan.c
 *	  JSON text into a flat array of nodes, in one pass.
 *
 * The bytes come from outside: nothing is read past the end, nesting is
 * bounded by check_stack_depth, and errors tell the byte, never what is there.
 */
#include "postgres.h"
#include "core/compat.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

#include "convert/json_scan.h"

static const char *scan_value(KeJson *json, const char *p);

void
ke_json_scan_init(KeJson *json, const char *subject, MemoryContext context)
{
	memset(json, 0, sizeof(KeJson));
	json->subject = subject;
	json->context = context;
}

/* In the server's encoding, U+FEFF is this only in UTF-8. */
static bool
starts_with_bom(const KeJson *json)
{
	static const char mark[] = "\xef\xbb\xbf";

	return GetDatabaseEncoding() == PG_UTF8 &&
		json->end - json->text >= strlen(mark) &&
		memcmp(json->text, mark, strlen(mark)) == 0;
}

/* What some writers, Python's among them, write for numbers that are none. */
static bool
is_no_number(const char *p, const char *end)
{
	return (end - p >= 3 && memcmp(p, "NaN", 3) == 0) ||
		(end - p >= 8 && memcmp(p, "Infinity", 8) == 0);
}

static void
broken(KeJson *json, const char *p, const char *expected)
{
	int			position = (int) (p - json->text) + 1;

	if (position == 1 && starts_with_bom(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("%s is not valid JSON", json->subject),
				 errdetail("It starts with a byte order mark, which JSON does not allow."),
				 errhint("Have the producer leave it out, or take the value as text or bytea.")));
	if (is_no_number(p, json->end))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("%s is not valid JSON: it has NaN or Infinity as a bare word",
						json->subject),
				 errdetail("Expected %s at byte %d.", expected, position),
				 errhint("Have the producer write null, or a string such as \"NaN\" (in Python, allow_nan=False finds them).")));
	if (p >= json->end)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("%s is not valid JSON", json->subject),
				 errdetail("It ends where %s was expected.", expected)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("%s is not valid JSON", json->subject),
			 errdetail("Expected %s at byte %d.", expected, position)));
}

/* Returns an index: the array may move when the next node is added. */
static inline int
add_node(KeJson *json, KeJsonKind kind, const char *text)
{
	KeJsonNode *node;

	if (json->nnodes == json->allocated)
		ke_json_nodes_grow(json);
	node = &json->nodes[json->nnodes];
	node->text = text;
	node->kind = kind;
	node->form = KE_JSON_FORM_TEXT;
	node->escaped = false;
	node->verbatim = false;
	node->count = 0;
	return json->nnodes++;
}

static inline void
end_node(KeJson *json, int index, const char *end)
{
	KeJsonNode *node = &json->nodes[index];

	node->len = (int32) (end - node->text);
	node->next = json->nnodes;
}

static inline const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What PostgreSQL's lexer takes for a part of the word it is in. */
static inline bool
is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		c == '_' || IS_HIGHBIT_SET(c);
}

static int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Four hexadecimal digits, or -1. */
static int
hex4(const char *p, const char *end)
{
	int			value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		int			digit = hex_value(p[i]);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static void
check_code_point(KeJson *json, pg_wchar code)
{
	unsigned char buf[MAX_UNICODE_EQUIVALENT_STRING + 1];

	if (code == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
				 errmsg("%s contains the escape \\u0000, which text cannot hold",
						json->subject)));
	if (code > 0x7f && GetDatabaseEncoding() != PG_UTF8)
		pg_unicode_to_server(code, buf);
}

/*
 * Check the escape at p, a backslash; returns what follows it.  A surrogate
 * pair is one escape.
 */
static const char *
scan_escape(KeJson *json, const char *p)
{
	int			code;
	int			low;

	if (p + 1 >= json->end)
		broken(json, json->end, "the rest of a string");
	if (p[1] != 'u')
	{
		if (p[1] == '\0' || strchr("\"\\/bfnrt", p[1]) == NULL)
			broken(json, p, "a valid escape");
		return p + 2;
	}

	code = hex4(p + 2, json->end);
	if (code < 0)
		broken(json, p, "an escape with four hexadecimal digits");
	if (!json->unescape)
		return p + 6;
	if (is_utf16_surrogate_second(code))
		broken(json, p, "a high surrogate before the low one");
	if (!is_utf16_surrogate_first(code))
	{
		check_code_point(json, code);
		return p + 6;
	}
	if (json->end - p < 12 || p[6] != '\\' || p[7] != 'u')
		broken(json, p, "a low surrogate after the high one");
	low = hex4(p + 8, json->end);
	if (low < 0 || !is_utf16_surrogate_second(low))
		broken(json, p, "a low surrogate after the high one");
	check_code_point(json, surrogate_pair_to_codepoint(code, low));
	return p + 12;
}

#define BYTES(c) (UINT64CONST(0x0101010101010101) * (unsigned char) (c))

/*
 * Non-zero when one of 8 bytes ends a run of plain characters: a quote, a
 * backslash or a control character.  The lowest bit set is in the first such
 * byte; higher ones may be false.
 */
static inline uint64
find_special(uint64 word)
{
	uint64		quote = word ^ BYTES('"');
	uint64		backslash = word ^ BYTES('\\');

	return (((quote - BYTES(1)) & ~quote) |
			((backslash - BYTES(1)) & ~backslash) |
			((word - BYTES(' ')) & ~word)) & BYTES(0x80);
}

/* The first special byte at or after p; end if there is none. */
static inline const char *
skip_plain(const char *p, const char *end)
{
	while (end - p >= sizeof(uint64))
	{
		uint64		word;
		uint64		special;

		memcpy(&word, p, sizeof(word));
		special = find_special(word);
		if (special != 0)
		{
#ifdef WORDS_BIGENDIAN
			break;
#else
			return p + pg_rightmost_one_pos64(special) / 8;
#endif
		}
		p += sizeof(word);
	}
	while (p < end && *p != '"' && *p != '\\' && (unsigned char) *p >= ' ')
		p++;
	return p;
}

/* p is behind the opening quote; returns what is behind the closing one. */
static const char *
scan_string(KeJson *json, const char *p)
{
	int			index = add_node(json, KE_JSON_STRING, p);

	for (;;)
	{
		p = skip_plain(p, json->end);
		if (p >= json->end)
			broken(json, json->end, "the rest of a string");
		if (*p == '"')
			break;
		if (*p != '\\')
			broken(json, p, "an escape instead of a control character");
		json->nodes[index].escaped = true;
		p = scan_escape(json, p);
	}
	end_node(json, index, p);
	return p + 1;
}

static const char *
scan_digits(KeJson *json, const char *p)
{
	if (p >= json->end || !is_digit(*p))
		broken(json, p, "a digit");
	while (p < json->end && is_digit(*p))
		p++;
	return p;
}

static const char *
scan_number(KeJson *json, const char *p)
{
	int			index = add_node(json, KE_JSON_NUMBER, p);
	const char *end = json->end;

	if (*p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else
		p = scan_digits(json, p);
	if (p < end && *p == '.')
		p = scan_digits(json, p + 1);
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = scan_digits(json, p);
	}
	if (p < end && is_word(*p))
		broken(json, p, "the end of a number");
	end_node(json, index, p);
	return p;
}

static const char *
scan_word(KeJson *json, const char *p, KeJsonKind kind, const char *word,
		  int len)
{
	int			index;

	if (json->end - p < len || memcmp(p, word, len) != 0 ||
		(json->end - p > len && is_word(p[len])))
		broken(json, p, "a value");
	index = add_node(json, kind, p);
	end_node(json, index, p + len);
	return p + len;
}

/* p is at the brace. */
static const char *
scan_object(KeJson *json, const char *p)
{
	int			index = add_node(json, KE_JSON_OBJECT, p);
	int			count = 0;
	const char *end = json->end;

	p = skip_space(p + 1, end);
	if (p < end && *p == '}')
	{
		end_node(json, index, p + 1);
		return p + 1;
	}
	for (;;)
	{
		if (p >= end || *p != '"')
			broken(json, p, "a field name");
		p = skip_space(scan_string(json, p + 1), end);
		if (p >= end || *p != ':')
			broken(json, p, "a colon");
		p = scan_value(json, skip_space(p + 1, end));
		p = skip_space(p, end);
		count++;
		if (p < end && *p == ',')
			p = skip_space(p + 1, end);
		else if (p < end && *p == '}')
			break;
		else
			broken(json, p, "a comma or the end of an object");
	}
	json->nodes[index].count = count;
	end_node(json, index, p + 1);
	return p + 1;
}

/* p is at the bracket. */
static const char *
scan_array(KeJson *json, const char *p)
{
	int			index = add_node(json, KE_JSON_ARRAY, p);
	int			count = 0;
	const char *end = json->end;

	p = skip_space(p + 1, end);
	if (p < end && *p == ']')
	{
		end_node(json, index, p + 1);
		return p + 1;
	}
	for (;;)
	{
		p = skip_space(scan_value(json, p), end);
		count++;
		if (p < end && *p == ',')
			p = skip_space(p + 1, end);
		else if (p < end && *p == ']')
			break;
		else
			broken(json, p, "a comma or the end of an array");
	}
	json->nodes[index].count = count;
	end_node(json, index, p + 1);
	return p + 1;
}

/* Returns what is behind the value that starts at p. */
static const char *
scan_value(KeJson *json, const char *p)
{
	if (p >= json->end)
		broken(json, p, "a value");
	switch (*p)
	{
		case '"':
			return scan_string(json, p + 1);
		case '{':
			check_stack_depth();
			return scan_object(json, p);
		case '[':
			check_stack_depth();
			return scan_array(json, p);
		case 't':
			return scan_word(json, p, KE_JSON_TRUE, "true", 4);
		case 'f':
			return scan_word(json, p, KE_JSON_FALSE, "false", 5);
		case 'n':
			return scan_word(json, p, KE_JSON_NULL, "null", 4);
		default:
			if (*p != '-' && !is_digit(*p))
				broken(json, p, "a value");
			return scan_number(json, p);
	}
}

/* Forget the nodes, and turn to this text. */
static void
start(KeJson *json, const char *text, int32 len, bool unescape)
{
	ke_json_nodes_reset(json);
	json->text = text;
	json->end = text + len;
	json->unescape = unescape;
}

void
ke_json_scan(KeJson *json, const char *text, int32 len, bool unescape)
{
	const char *p;

	start(json, text, len, unescape);
	p = scan_value(json, skip_space(text, json->end));
	p = skip_space(p, json->end);
	if (p < json->end)
		broken(json, p, "the end");
}

const char *
ke_json_scan_first(KeJson *json, const char *text, int32 len, int32 from)
{
	start(json, text, len, true);
	return scan_value(json, skip_space(text + from, json->end));
}

int
ke_json_scan_append(KeJson *json, const char *text, int32 len)
{
	int			index = json->nnodes;
	const char *outer_text = json->text;
	const char *outer_end = json->end;
	bool		outer_unescape = json->unescape;
	const char *p;

	json->text = text;
	json->end = text + len;
	json->unescape = true;
	p = scan_value(json, skip_space(text, json->end));
	p = skip_space(p, json->end);
	if (p < json->end)
		broken(json, p, "the end");
	json->text = outer_text;
	json->end = outer_end;
	json->unescape = outer_unescape;
	return index;
}

void
ke_json_scan_plain(KeJson *json, const char *text, int32 len)
{
	int			index;

	start(json, text, len, true);
	index = add_node(json, KE_JSON_STRING, text);
	json->nodes[index].verbatim = true;
	end_node(json, index, text + len);
}

/* One \uXXXX, or a pair of them, into dst; advances *p past it. */
static int
unescape_code_point(const char **p, const char *end, char *dst)
{
	unsigned char buf[MAX_UNICODE_EQUIVALENT_STRING + 1];
	pg_wchar	code = hex4(*p + 2, end);
	int			len;

	*p += 6;
	if (is_utf16_surrogate_first(code))
	{
		code = surrogate_pair_to_codepoint(code, hex4(*p + 2, end));
		*p += 6;
	}
	pg_unicode_to_server(code, buf);
	len = strlen((char *) buf);
	memcpy(dst, buf, len);
	return len;
}

static char
unescape_letter(char c)
{
	switch (c)
	{
		case 'b':
			return '\b';
		case 'f':
			return '\f';
		case 'n':
			return '\n';
		case 'r':
			return '\r';
		case 't':
			return '\t';
		default:
			return c;
	}
}

int32
ke_json_scan_unescape(const KeJsonNode *node, char *dst)
{
	const char *p = node->text;
	const char *end = node->text + node->len;
	char	   *start = dst;

	while (p < end)
	{
		const char *run = p;

		p = skip_plain(p, end);
		memcpy(dst, run, p - run);
		dst += p - run;
		if (p >= end)
			break;
		if (p[1] == 'u')
			dst += unescape_code_point(&p, end, dst);
		else
		{
			*dst++ = unescape_letter(p[1]);
			p += 2;
		}
	}
	return (int32) (dst - start);
}

const char *
ke_json_scan_characters(const KeJsonNode *node, int32 *len)
{
	char	   *characters;

	*len = node->len;
	if (!node->escaped)
		return node->text;
	characters = palloc(node->len + 1);
	*len = ke_json_scan_unescape(node, characters);
	return characters;
}

/*
 * The hint for bytes that are no text: what they may be.  A serialized number
 * has just its own length; what is framed for a schema registry begins with a
 * zero byte and four bytes of a schema's number, and goes on.
 */
static int
explain_binary(const char *bytes, int32 len)
{
	if (len == sizeof(int64) || len == sizeof(int32))
		return errhint("It may be a binary number of %d bytes, as serializers of integers write it; only bytea can hold it.",
					   len);
	if (len >= 1 + sizeof(int32) && bytes[0] == '\0')
		return errhint("A value that starts with a zero byte is framed for a schema registry; only bytea can hold it.");
	return 0;
}

const char *
ke_json_scan_to_server(const char *bytes, int32 *len, const char *subject)
{
	int			valid = pg_encoding_verifymbstr(PG_UTF8, bytes, *len);
	char	   *server;

	if (valid != *len)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("%s is not valid UTF-8 text", subject),
				 errdetail("Byte %d of %d is the first one that does not fit.",
						   valid + 1, *len),
				 explain_binary(bytes, *len)));

	if (GetDatabaseEncoding() == PG_UTF8 || *len == 0)
		return bytes;
	server = pg_any_to_server(bytes, *len, PG_UTF8);
	if (server != bytes)
		*len = strlen(server);
	return server;
}
