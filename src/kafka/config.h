/*
 * config.h
 *	  The options of a server as the library's properties.
 *
 * For files in kafka/ only.
 */
#ifndef KE_CONFIG_H
#define KE_CONFIG_H

#include "core/options.h"
#include "kafka/library.h"

/* A property and its value; a value of NULL means: leave it out. */
typedef struct KeSetting
{
	const char *name;
	const char *value;
} KeSetting;

/*
 * A configuration for a client of type, with what every client of a server
 * has in common, then settings (ended by a name of NULL), then the properties
 * given as server options.  The caller owns it.  Raises when the library
 * refuses a value; no credential is quoted.
 */
extern rd_kafka_conf_t *ke_config_make(rd_kafka_type_t type,
									   const KeServerOptions *server,
									   const KeMappingOptions *mapping,
									   const char *client_id,
									   const KeSetting *settings);

#endif							/* KE_CONFIG_H */
