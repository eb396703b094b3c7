/*
 * registry_lookup.c
 *	  One schema, asked of a schema registry together with what it uses.
 *
 * Apicurio's own API gives a schema's text and its references by two
 * questions, Confluent's by one.
 */
#include "postgres.h"
#include "core/compat.h"

#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "cluster/http.h"
#include "cluster/registry_answer.h"
#include "cluster/registry_lookup.h"
#include "core/registry_url.h"

/* A schema uses no more than so many others, of so much text. */
#define DOCUMENTS_MAX 500
#define TEXT_MAX ((Size) 32 * 1024 * 1024)

/* One schema: what was asked for (the first), or one it refers to. */
typedef struct Document
{
	const char *path;			/* of the text; documents are told by it */
	const char *name;			/* the reference's, or "" */
	bool		apicurio;		/* it is a path of Apicurio's API */
	char	   *type;			/* once it is there; so for the rest */
	char	   *text;
	List	   *uses;			/* of Document */
	bool		complete;		/* its references are known */
	bool		listed;			/* scratch of list_used */
} Document;

/* What the answer that is waited for is. */
typedef enum Step
{
	STEP_TEXT,
	STEP_REFERENCES,
	STEP_SUBJECT
} Step;

struct KeLookup
{
	MemoryContext context;		/* of all of it */
	MemoryContext attempt;		/* of what a URL has said; reset for the
								 * next one */
	KeServerOptions options;
	KeMappingOptions mapping;
	List	   *urls;			/* of char * */
	KeSchemaId	id;
	const char *subject;		/* or NULL */

	int			url;			/* index of the one that is asked */
	KeHttp	   *transfer;		/* or NULL */
	Step		step;
	List	   *documents;		/* of Document */
	int			at;				/* index of the one that is asked for */
	Size		bytes;			/* text so far */
	char	   *found_subject;
	int64		found_id;

	KeLookupState state;
	KeSchemaRow result;
	char	   *problem;
};

static const char *
current_url(const KeLookup *lookup)
{
	return (char *) list_nth(lookup->urls, lookup->url);
}

/* Where subjects are, whatever the ids are of. */
static char *
confluent_url(const KeLookup *lookup)
{
	return ke_registry_url_of_confluent(current_url(lookup),
										lookup->options.schema_registry_id);
}

/* A name as a part of a path. */
static char *
escape(const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *p = name; *p != '\0'; p++)
	{
		unsigned char c = (unsigned char) *p;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.')
			appendStringInfoChar(&buf, c);
		else
			appendStringInfo(&buf, "%%%02X", c);
	}
	return buf.data;
}

/* ------------------------------------------------------------- questions */

static void
ask(KeLookup *lookup, const char *path)
{
	KeHttpQuestion question = {
		.url = path,
		.username = lookup->mapping.schema_registry_username,
		.password = lookup->mapping.schema_registry_password,
		.token = lookup->mapping.schema_registry_token,
		.ca_pem = lookup->options.schema_registry_ca_pem
	};

	if (lookup->transfer != NULL)
		ke_http_free(lookup->transfer);
	lookup->transfer = NULL;
	lookup->transfer = ke_http_begin(&question);
}

static Document *
document_at(const KeLookup *lookup, int at)
{
	return (Document *) list_nth(lookup->documents, at);
}

static Document *
add_document(KeLookup *lookup, const char *path, const char *name,
			 bool apicurio)
{
	Document   *document;
	ListCell   *lc;

	foreach(lc, lookup->documents)
	{
		document = (Document *) lfirst(lc);
		if (strcmp(document->path, path) == 0)
			return document;
	}
	document = palloc0(sizeof(Document));
	document->path = path;
	document->name = name != NULL ? name : "";
	document->apicurio = apicurio;
	lookup->documents = lappend(lookup->documents, document);
	return document;
}

/* Where what is looked for is, at the current URL. */
static void
add_first(KeLookup *lookup)
{
	const char *url = current_url(lookup);
	char		id[KE_SCHEMA_ID_LEN];
	char	   *path = NULL;
	bool		apicurio = false;

	ke_schema_id_format(&lookup->id, id);
	if (lookup->subject != NULL)
		path = psprintf("%s/subjects/%s/versions/latest",
						confluent_url(lookup), escape(lookup->subject));
	else
	{
		switch (lookup->id.kind)
		{
			case KE_SCHEMA_ID_CONFLUENT:
				path = psprintf("%s/schemas/ids/%s", url, id);
				break;
			case KE_SCHEMA_ID_GUID:
				path = psprintf("%s/schemas/guids/%s", url, id);
				break;
			case KE_SCHEMA_ID_CONTENT:
				path = psprintf("%s/ids/contentIds/%s",
								ke_registry_url_of_apicurio(url), id);
				apicurio = true;
				break;
			case KE_SCHEMA_ID_GLOBAL:
				path = psprintf("%s/ids/globalIds/%s",
								ke_registry_url_of_apicurio(url), id);
				apicurio = true;
				break;
		}
	}
	(void) add_document(lookup, path, NULL, apicurio);
}

static void
begin_url(KeLookup *lookup)
{
	MemoryContext old;

	MemoryContextReset(lookup->attempt);
	old = MemoryContextSwitchTo(lookup->attempt);
	lookup->documents = NIL;
	lookup->at = 0;
	lookup->bytes = 0;
	lookup->found_subject = NULL;
	lookup->found_id = 0;
	add_first(lookup);
	lookup->step = STEP_TEXT;
	ask(lookup, document_at(lookup, 0)->path);
	MemoryContextSwitchTo(old);
}

KeLookup *
ke_registry_lookup_begin(const KeServer *server, const KeSchemaId *id,
						 const char *subject, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent,
												  "kafka_events schema lookup",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	const KeServerOptions *options = &server->options;
	const KeMappingOptions *mapping = &server->mapping;
	KeLookup   *lookup = palloc0(sizeof(KeLookup));

	lookup->context = context;
	lookup->attempt = AllocSetContextCreate(context,
											"kafka_events registry answers",
											ALLOCSET_SMALL_SIZES);
	lookup->urls = ke_registry_url_split(options->schema_registry_url);
	lookup->options.schema_registry_id = options->schema_registry_id;
#define COPY(struct, member) \
	if (struct->member != NULL) \
		lookup->struct.member = pstrdup(struct->member)
	COPY(options, schema_registry_ca_pem);
	COPY(mapping, schema_registry_username);
	COPY(mapping, schema_registry_password);
	COPY(mapping, schema_registry_token);
#undef COPY
	if (subject != NULL)
		lookup->subject = pstrdup(subject);
	else
		lookup->id = *id;
	begin_url(lookup);
	MemoryContextSwitchTo(old);
	return lookup;
}

/* --------------------------------------------------------------- failure */

static const char *
explain_refusal(const KeLookup *lookup)
{
	if (lookup->mapping.schema_registry_token != NULL)
		return "it refuses the user mapping's schema_registry_token";
	if (lookup->mapping.schema_registry_username != NULL)
		return "it refuses the user mapping's schema_registry_username and schema_registry_password";
	return "it wants a login: give the user mapping schema_registry_username and schema_registry_password, or schema_registry_token";
}

/* Why the last answer is of no use. */
static char *
explain(KeLookup *lookup)
{
	int			status = ke_http_status(lookup->transfer);
	int			len;
	const char *body = ke_http_body(lookup->transfer, &len);
	char	   *message;

	if (status == 0)
	{
		const char *problem = ke_http_problem(lookup->transfer);

		if (strstr(problem, "local issuer certificate") != NULL ||
			strstr(problem, "self-signed certificate") != NULL ||
			strstr(problem, "self signed certificate") != NULL)
			return psprintf("%s: server option schema_registry_ca_pem says who is trusted",
							problem);
		return pstrdup(problem);
	}
	if (status == 401)
		return psprintf("HTTP 401: %s", explain_refusal(lookup));
	if (status == 403)
		return psprintf("HTTP 403: the user may not read schemas");
	message = ke_registry_answer_message(body, len);
	if (status == 404)
		return psprintf("HTTP 404, and not as a schema registry answers: is the path in schema_registry_url right?");
	if (status >= 300 && status < 400)
		return psprintf("HTTP %d: redirects are not followed", status);
	if (status == 200)
		return psprintf("its answer is not that of a schema registry: is the path in schema_registry_url right?");
	if (message != NULL)
		return psprintf("HTTP %d: %s", status, message);
	return psprintf("HTTP %d", status);
}

/* Names of hosts, and what others say, may be in any encoding. */
static void
give_up(KeLookup *lookup, const char *why)
{
	lookup->problem = MemoryContextAlloc(lookup->context,
										 strlen(current_url(lookup)) +
										 strlen(why) + 32);
	sprintf(lookup->problem, "schema registry %s: %s", current_url(lookup),
			why);
	for (char *p = lookup->problem; *p != '\0'; p++)
	{
		if (*p < ' ' || *p > '~')
			*p = '?';
	}
	lookup->state = KE_LOOKUP_FAILED;
}

/* This URL cannot be asked: try the next one, or give up. */
static void
try_next(KeLookup *lookup)
{
	if (lookup->url + 1 < list_length(lookup->urls))
	{
		lookup->url++;
		begin_url(lookup);
	}
	else
		give_up(lookup, explain(lookup));
}

/* --------------------------------------------------------------- answers */

/* Where the schema is that another one refers to. */
static Document *
refer(KeLookup *lookup, const Document *from,
	  const KeRegistryReference *reference)
{
	const char *url = current_url(lookup);
	const char *group = reference->group != NULL && *reference->group != '\0' ?
		reference->group : "default";
	char	   *path;

	if (from->apicurio)
		path = psprintf("%s/groups/%s/artifacts/%s/versions/%s",
						ke_registry_url_of_apicurio(url), escape(group),
						escape(reference->subject),
						escape(reference->version));
	else
		path = psprintf("%s/subjects/%s/versions/%s",
						lookup->subject != NULL ? confluent_url(lookup) : url,
						escape(reference->subject),
						escape(reference->version));
	return add_document(lookup, path, reference->name, from->apicurio);
}

static void
set_references(KeLookup *lookup, Document *document, List *references)
{
	ListCell   *lc;

	foreach(lc, references)
		document->uses = lappend(document->uses,
								 refer(lookup, document,
									   (KeRegistryReference *) lfirst(lc)));
	document->complete = true;
}

/* False: it is no schema. */
static bool
take_text(KeLookup *lookup, Document *document)
{
	int			len;
	const char *body = ke_http_body(lookup->transfer, &len);
	KeRegistrySchema schema;

	lookup->bytes += len;
	if (document->apicurio)
	{
		const char *content_type = ke_http_content_type(lookup->transfer);

		if (len == 0 || strlen(body) != len ||
			strstr(content_type, "html") != NULL)
			return false;
		document->text = pstrdup(body);
		document->type =
			pstrdup(ke_registry_answer_guess_type(content_type, body, len));
		return true;
	}
	if (!ke_registry_answer_schema(body, len, &schema))
		return false;
	document->text = schema.text;
	document->type = schema.type;
	if (document == document_at(lookup, 0))
	{
		lookup->found_id = schema.id;
		lookup->found_subject = schema.subject;
	}
	set_references(lookup, document, schema.references);
	return true;
}

static bool
take_references(KeLookup *lookup, Document *document)
{
	int			len;
	const char *body = ke_http_body(lookup->transfer, &len);
	List	   *references;

	if (!ke_registry_answer_references(body, len, &references))
		return false;
	set_references(lookup, document, references);
	return true;
}

/* What a document uses, in the order in which it can be read. */
static void
list_used(KeLookup *lookup, Document *document)
{
	ListCell   *lc;

	document->listed = true;
	foreach(lc, document->uses)
	{
		Document   *used = (Document *) lfirst(lc);

		if (used->listed)
			continue;
		list_used(lookup, used);
		lookup->result.reference_names =
			lappend(lookup->result.reference_names,
					unconstify(char *, used->name));
		lookup->result.references = lappend(lookup->result.references,
											used->text);
	}
}

static void
finish(KeLookup *lookup)
{
	KeSchemaRow *result = &lookup->result;
	Document   *first = document_at(lookup, 0);
	KeSchemaId	id = lookup->id;
	char		text[KE_SCHEMA_ID_LEN];

	if (lookup->subject != NULL)
	{
		id.kind = KE_SCHEMA_ID_CONFLUENT;
		id.number = lookup->found_id;
	}
	ke_schema_id_format(&id, text);
	result->url = pstrdup(current_url(lookup));
	result->kind = pstrdup(ke_schema_id_kind_name(id.kind));
	result->id = pstrdup(text);
	result->type = first->type;
	result->subject = lookup->found_subject;
	result->text = first->text;
	result->name = ke_registry_answer_describe(first->type, first->text,
											   &result->fields);
	list_used(lookup, first);
	lookup->state = KE_LOOKUP_FOUND;
}

/* Ask what is to be known next, or be done. */
static void
go_on(KeLookup *lookup)
{
	Document   *document = document_at(lookup, lookup->at);

	if (!document->complete)
	{
		lookup->step = STEP_REFERENCES;
		ask(lookup, psprintf("%s/references", document->path));
		return;
	}
	if (list_length(lookup->documents) > DOCUMENTS_MAX ||
		lookup->bytes > TEXT_MAX)
	{
		give_up(lookup, "the schema refers to too many others");
		return;
	}
	if (lookup->at + 1 < list_length(lookup->documents))
	{
		lookup->at++;
		lookup->step = STEP_TEXT;
		ask(lookup, document_at(lookup, lookup->at)->path);
		return;
	}
	if (lookup->found_subject == NULL && !document_at(lookup, 0)->apicurio &&
		lookup->step != STEP_SUBJECT)
	{
		lookup->step = STEP_SUBJECT;
		ask(lookup, psprintf("%s/versions", document_at(lookup, 0)->path));
		return;
	}
	finish(lookup);
}

/* An answer of any kind is there. */
static void
take_answer(KeLookup *lookup)
{
	Document   *document = document_at(lookup, lookup->at);
	int			status = ke_http_status(lookup->transfer);
	int			len;
	const char *body = ke_http_body(lookup->transfer, &len);
	bool		useful = false;

	if (lookup->step == STEP_SUBJECT)
	{
		/* nice to have: not every registry tells */
		if (status == 200)
			lookup->found_subject = ke_registry_answer_subject(body, len);
		finish(lookup);
		return;
	}
	if (lookup->at == 0 && lookup->step == STEP_TEXT &&
		ke_registry_answer_is_unknown(status, body, len))
	{
		lookup->state = KE_LOOKUP_UNKNOWN;
		return;
	}
	if (status == 200)
		useful = lookup->step == STEP_TEXT ? take_text(lookup, document) :
			take_references(lookup, document);
	if (useful)
		go_on(lookup);
	else
		try_next(lookup);
}

KeLookupState
ke_registry_lookup_step(KeLookup *lookup)
{
	if (lookup->state == KE_LOOKUP_RUNS && ke_http_is_over(lookup->transfer))
	{
		MemoryContext old = MemoryContextSwitchTo(lookup->attempt);

		take_answer(lookup);
		MemoryContextSwitchTo(old);
	}
	return lookup->state;
}

const KeSchemaRow *
ke_registry_lookup_result(const KeLookup *lookup)
{
	return &lookup->result;
}

const char *
ke_registry_lookup_problem(const KeLookup *lookup)
{
	return lookup->problem;
}

void
ke_registry_lookup_free(KeLookup *lookup)
{
	if (lookup->transfer != NULL)
		ke_http_free(lookup->transfer);
	MemoryContextDelete(lookup->context);
}
