/*
 * jsonb_build.h
 *	  Scanned JSON into jsonb, byte by byte what jsonb_in makes of it.
 */
#ifndef KE_JSONB_BUILD_H
#define KE_JSONB_BUILD_H

#include "convert/json_scan.h"

/*
 * A jsonb datum of the value at node (0: all of it), in the current context.
 * Needs a scan with unescape.
 */
extern Datum ke_jsonb_build(const KeJson *json, int node);

#endif							/* KE_JSONB_BUILD_H */
