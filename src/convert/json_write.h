/*
 * json_write.h
 *	  Nodes into JSON text.
 */
#ifndef KE_JSON_WRITE_H
#define KE_JSON_WRITE_H

#include "lib/stringinfo.h"

#include "convert/json_scan.h"

/*
 * Append the node and all in it.  What was scanned from JSON is appended as it
 * was written.  Raises 54001 for too deep a nesting.
 */
extern void ke_json_write(StringInfo out, const KeJson *json, int node);

#endif							/* KE_JSON_WRITE_H */
