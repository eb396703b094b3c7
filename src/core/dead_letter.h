/*
 * dead_letter.h
 *	  What a dead letter says about itself, whoever has written it.
 *
 * Ours, Spring Kafka's and Kafka Connect's are told apart by the names of
 * their headers.  A message may have died several times, in several systems:
 * each appends what it has to say, so that the last header that any of them
 * writes tells which one counts, and the others' belong to the message.
 *
 * What is read may have been written by anybody; what cannot be used counts
 * as missing.
 */
#ifndef KE_DEAD_LETTER_H
#define KE_DEAD_LETTER_H

#include "core/retry_headers.h"

typedef enum KeDeadLetterWriter
{
	KE_WRITER_UNKNOWN,			/* no header of a dead letter */
	KE_WRITER_OURS,				/* or a system's that writes as we do */
	KE_WRITER_SPRING,			/* DeadLetterPublishingRecoverer */
	KE_WRITER_SPRING_RETRY,		/* a dead letter topic of retry topics */
	KE_WRITER_CONNECT
} KeDeadLetterWriter;

extern KeDeadLetterWriter ke_dead_letter_writer(KeMessage *msg);

/* Is that somebody else, who knows neither our services nor histories? */
extern bool ke_dead_letter_is_foreign(KeDeadLetterWriter writer);

/* Of what the writer says.  The history is that of the dead letter. */
extern void ke_dead_letter_read(KeMessage *msg, KeDeadLetterWriter writer,
								KeDeadLetter *letter);

/* The history that it belongs to; false if it belongs to none. */
extern bool ke_dead_letter_read_history(KeMessage *msg,
										KeCopyHistory *history);

/* The header that says where it is from. */
extern const char *ke_dead_letter_topic_header(KeDeadLetterWriter writer);

/* Is a header about its death or its retries?  Then it is not sent back. */
extern bool ke_dead_letter_is_past(KeDeadLetterWriter writer,
								   const char *name);

#endif							/* KE_DEAD_LETTER_H */
