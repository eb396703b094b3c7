/*
 * avro_skip.h
 *	  Pass over a value that nobody wants.
 */
#ifndef KE_AVRO_SKIP_H
#define KE_AVRO_SKIP_H

#include "convert/avro_reader.h"

/*
 * Move the reader behind a value of this type.  Raises as decoding it would
 * where its end cannot be told; what is in strings, bytes and blocks whose
 * size is written is not looked at.
 */
extern void ke_avro_skip(KeAvroReader *reader, const KeAvroType *type);

#endif							/* KE_AVRO_SKIP_H */
