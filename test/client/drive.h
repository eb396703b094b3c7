/*
 * drive.h
 *	  What the drivers of src/kafka share: lists and options as SQL has them.
 *
 * A list of partitions is a text[] of 'topic/partition/offset', followed by
 * '/metadata' and '/error' where there is one.
 */
#ifndef DRIVE_H
#define DRIVE_H

#include "core/options.h"
#include "kafka/client.h"

extern char **drive_strings(Datum array, int *count);
extern KePartitionList *drive_list(Datum array);
extern Datum drive_list_datum(const KePartitionList *list);

/* The list as it comes back, or the error of the whole call alone. */
extern Datum drive_answer(int error, const KePartitionList *list);

/* Defaults of the interface, then 'name=value' strings. */
extern void drive_options(KeServerOptions *server, KeMappingOptions *mapping,
						  char *bootstrap, Datum options);

#endif							/* DRIVE_H */
