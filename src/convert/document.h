/*
 * document.h
 *	  A message's value or key as nodes, whatever its format.
 *
 * Everything that looks into a value or a key goes through here: columns,
 * arguments of handlers and validators.  A document is opened once for a
 * subscription and one part of its messages, and then reads one message after
 * the other.  What it says of a message holds until it reads the next, and no
 * longer than the message and the memory context it was read in.
 *
 * JSON is scanned only when its nodes are asked for: who takes the whole value
 * takes its bytes.
 */
#ifndef KE_DOCUMENT_H
#define KE_DOCUMENT_H

#include "convert/convert.h"
#include "convert/decode.h"
#include "convert/unwrap.h"
#include "core/message.h"
#include "core/options.h"

typedef enum KeDocumentPart
{
	KE_DOCUMENT_VALUE,
	KE_DOCUMENT_KEY
} KeDocumentPart;

/* What the part says. */
typedef enum KeDocumentOp
{
	KE_DOCUMENT_NONE,			/* there is none: a tombstone, or no key */
	KE_DOCUMENT_WHOLE,			/* it has a value */
	KE_DOCUMENT_DELETE,			/* a row is gone: the message's key, or the
								 * row at root, tells which */
	KE_DOCUMENT_SKIP			/* it is about no row */
} KeDocumentOp;

typedef struct KeDocument
{
	KeDocumentPart part;
	const char *subject;		/* "message value": for errors */
	const KeRegistry *registry; /* it is framed by an id of this; or NULL */
	bool		strip_nul;
	int64		stripped;		/* messages that NULs were taken out of, since
								 * the caller last set this to 0 */
	KeDecoder  *columns;		/* set by the caller: nodes are for this one
								 * alone, and need not be more than it looks
								 * at; NULL: they are all there */

	/* Of the message read last */
	KeDocumentOp op;
	const char *bytes;			/* as they came; NULL with KE_DOCUMENT_NONE */
	int32		len;
	const char *text;			/* of these what is JSON, or text: where a */
	int32		text_len;		/* framing is before that, it is without it;
								 * and without NULs, if those are stripped */
	KeMessage  *msg;
	bool		plain;			/* the value is that text, as it is */
	bool		partial;		/* nodes are for columns only */
	bool		scanned;		/* the next two are there */
	int			root;			/* the node that is the value; -1: none */
	int			whole;			/* the same for who takes all of it: what
								 * is there for columns only is left out */
	KeUnwrap   *unwrap;			/* NULL: values are what they mean */
	KeJson		json;
} KeDocument;

/* Lives in parent; needs no transaction.  options: NULL for the defaults. */
extern KeDocument *ke_document_open(const KeSubscriptionOptions *options,
									KeDocumentPart part,
									MemoryContext parent);

/*
 * Turn to this message, and say what it has.  With a registry: in a
 * transaction; raises as ke_schema_source_find does, 22P03 for a value without
 * a framing, 0A000 for what no schema type of ours can read.
 */
extern KeDocumentOp ke_document_read(KeDocument *document, KeMessage *msg);

/*
 * All others need KE_DOCUMENT_WHOLE.  They raise 22xxx for bytes that the
 * format, or the type, cannot hold (54001 for too deep a nesting), and return
 * what lives in the current context.
 *
 * The nodes are in document->json afterwards; returns the root.  A key that is
 * neither a JSON object nor a JSON string is a string of its characters.
 */
extern int	ke_document_scan(KeDocument *document);

extern Datum ke_document_jsonb(KeDocument *document);
extern Datum ke_document_json(KeDocument *document);
extern Datum ke_document_text(KeDocument *document);
extern Datum ke_document_bytea(KeDocument *document);

/*
 * As the converter's type: bytea takes the bytes as they came, jsonb and json
 * the JSON, any other type's input function gets the text.
 */
extern Datum ke_document_convert(KeDocument *document, KeConverter *conv,
								 bool *isnull);

#endif							/* KE_DOCUMENT_H */
