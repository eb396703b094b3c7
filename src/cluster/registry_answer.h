/*
 * registry_answer.h
 *	  What a schema registry says, out of the bytes of its answers.
 *
 * Pure: bytes in, structs in the current context out.  Text is UTF-8, as JSON
 * is.
 */
#ifndef KE_REGISTRY_ANSWER_H
#define KE_REGISTRY_ANSWER_H

#include "nodes/pg_list.h"

/* A schema that another one uses. */
typedef struct KeRegistryReference
{
	char	   *name;
	char	   *group;			/* Apicurio's, or NULL */
	char	   *subject;
	char	   *version;
} KeRegistryReference;

typedef struct KeRegistrySchema
{
	int64		id;				/* 0: the answer has none */
	char	   *subject;		/* NULL: likewise */
	char	   *type;			/* "AVRO" */
	char	   *text;
	List	   *references;		/* of KeRegistryReference */
} KeRegistrySchema;

/* False: these bytes are no such answer. */
extern bool ke_registry_answer_schema(const char *body, int len,
									  KeRegistrySchema *schema);
extern bool ke_registry_answer_references(const char *body, int len,
										  List **references);

/* The first subject of an answer that lists some, or NULL. */
extern char *ke_registry_answer_subject(const char *body, int len);

/*
 * Does an error mean that the registry does not know what was asked for, and
 * not that the path is wrong?
 */
extern bool ke_registry_answer_is_unknown(int status, const char *body,
										  int len);

/* The message of an error, cut to fit a line, or NULL. */
extern char *ke_registry_answer_message(const char *body, int len);

/* Apicurio's API tells a schema's type, if at all, by its content type. */
extern const char *ke_registry_answer_guess_type(const char *content_type,
												 const char *text, int len);

/*
 * For people: the name in a schema (NULL: none), and a list of char *, the
 * names of its fields, or of the first 1000 of them.
 */
extern char *ke_registry_answer_describe(const char *type, const char *text,
										 List **fields);

#endif							/* KE_REGISTRY_ANSWER_H */
