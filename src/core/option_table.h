/*
 * option_table.h
 *	  One table per kind of object drives parsing, checking and error texts.
 *
 * Private to core/option*.c and core/properties.c.  An entry says where in
 * the struct a value goes, what is allowed, and what stands there when
 * nothing is written; the initial value takes the same way through the parser
 * as a written one.
 */
#ifndef KE_OPTION_TABLE_H
#define KE_OPTION_TABLE_H

#include "nodes/pg_list.h"

/* What topics, and so service names and suffixes too, consist of. */
#define KE_OPTION_TOPIC_CHARS \
	"abcdefghijklmnopqrstuvwxyz" \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
	"0123456789._-"

typedef enum KeOptionKind
{
	KE_OPTION_BOOLEAN,			/* bool */
	KE_OPTION_INTEGER,			/* int */
	KE_OPTION_NUMBER,			/* double */
	KE_OPTION_MS,				/* int; a number of ms, or with a unit */
	KE_OPTION_INTERVAL,			/* int, ms; text of an interval */
	KE_OPTION_LONG_INTERVAL,	/* int64, ms; text of an interval */
	KE_OPTION_CHOICE,			/* an enum; its value indexes choices */
	KE_OPTION_FLAG,				/* bool; true for the second of choices */
	KE_OPTION_WORD,				/* char *; one of choices, spelled as there */
	KE_OPTION_TEXT,				/* char *; check may have objections */
	KE_OPTION_SECRET,			/* likewise, but no error quotes it */
	KE_OPTION_PARSED			/* parse puts it into the struct */
} KeOptionKind;

/* What is wrong with a value ("must be ..."), or NULL. */
typedef const char *(*KeOptionCheck) (const char *value);
typedef const char *(*KeOptionParse) (const char *value, void *out);

typedef struct KeOption
{
	const char *name;
	KeOptionKind kind;
	Size		offset;			/* of the member in the struct */
	const char *initial;		/* as a user would write it; NULL: zero */
	double		min;			/* of numbers, and of intervals in ms */
	double		max;
	const char *const *choices; /* NULL-terminated */
	KeOptionCheck check;
	KeOptionParse parse;
	const char *initial_production; /* with profile production, if another */
	const char *form;			/* of text, for people; or NULL */
	const char *type;			/* of what parse reads; NULL: text[] */
	bool		required;
	bool		quiet;			/* might hold a secret: no error quotes it */
	const char *(*instead) (const char *value); /* hint on a wrong value */
} KeOption;

typedef struct KeOptionSet
{
	const char *object;			/* "a foreign server" */
	const KeOption *options;
	int			noptions;
	Size		size;			/* of the struct */

	/* True if it knows what to do with a name the table does not have. */
	bool		(*other) (const char *name, const char *value, void *out,
						  List **problems);
} KeOptionSet;

/* Fill the struct from a list of DefElem. */
extern void ke_option_table_parse(const KeOptionSet *set, List *options,
								  bool production, void *out, List **problems);

/*
 * Put one value into the struct.  Returns what is wrong with it ("must be
 * ..."), and leaves the struct alone then; NULL if it is right.
 */
extern const char *ke_option_table_assign(const KeOption *option,
										  const char *value, void *out);

/* The table's entry for a name, or NULL. */
extern const KeOption *ke_option_table_find(const KeOptionSet *set,
											const char *name);

/* A hint with the closest name of the table, or NULL if none is close. */
extern char *ke_option_table_closest_hint(const KeOptionSet *set,
										  const char *name);

/* All names of the table, separated by commas. */
extern char *ke_option_table_names(const KeOptionSet *set);

/* The value that was written for a name, or NULL. */
extern const char *ke_option_table_written(List *options, const char *name);

/* The tables, for who lists what is in them. */
extern const KeOptionSet *ke_options_server_set(void);
extern const KeOptionSet *ke_options_server_mapping_set(void);
extern const KeOptionSet *ke_options_subscription_set(void);
extern const KeOptionSet *ke_properties_set(void);

/* At most 64 bytes of a value, in quotes and on one line, for an error. */
extern char *ke_option_table_quote(const char *value);

#endif							/* KE_OPTION_TABLE_H */
