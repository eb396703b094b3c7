/*
 * hstore_write.h
 *	  A JSON object as the text that hstore reads.
 */
#ifndef KE_HSTORE_WRITE_H
#define KE_HSTORE_WRITE_H

#include "lib/stringinfo.h"

#include "convert/json_scan.h"

/* Is it the type of the extension of that name? */
extern bool ke_hstore_write_is_hstore(Oid type);

/* Append the object at index; objects and arrays in it are written as JSON. */
extern void ke_hstore_write(StringInfo out, const KeJson *json, int index);

#endif							/* KE_HSTORE_WRITE_H */
