/*
 * offset_metadata.h
 *	  What databases write into the metadata of a position among dead letters:
 *	  the number of their last Kafka transaction, and the history it belongs
 *	  to.
 *
 * A position that was moved by a history which this database has left says
 * nothing: what that history had on record about failed letters is lost.  Then
 * the position that this database knows of counts.
 */
#ifndef KE_OFFSET_METADATA_H
#define KE_OFFSET_METADATA_H

#include "core/copy_history.h"

/* The number of the database's last transaction; 0: none. */
extern int64 ke_offset_metadata_get(const char *metadata, const char *uuid);

/* With this database's entry in front of those of the others. */
extern char *ke_offset_metadata_put(const char *metadata, const char *uuid,
									int64 marker,
									const KeCopyHistory *history);

/* Was the position moved last by a history that this database has left? */
extern bool ke_offset_metadata_is_orphan(const char *metadata,
										 const char *uuid,
										 const KePast *past);

/*
 * In a transaction: make each position (count of them) negative, as where
 * Kafka has none, if it is such an orphan.
 */
extern void ke_offset_metadata_disregard(int64 *positions,
										 char **metadata, int count);

#endif							/* KE_OFFSET_METADATA_H */
