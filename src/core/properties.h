/*
 * properties.h
 *	  librdkafka's properties that may be options of a server.
 *
 * A closed list: librdkafka can be told to load libraries, run commands and
 * read files, and some properties would undo what the extension relies on.
 * That only superusers may set them is checked by whoever knows the user.
 */
#ifndef KE_PROPERTIES_H
#define KE_PROPERTIES_H

#include "nodes/pg_list.h"

/* Is this option's name meant as a property, allowed or not? */
extern bool ke_properties_is_meant(const char *name);

/*
 * The value to hand to librdkafka, in the current context; NULL, and a
 * problem with the reason, if the property or the value is refused.
 */
extern char *ke_properties_check(const char *name, const char *value,
								 List **problems);

/* What librdkafka demands of several (a list of KeProperty) together. */
extern void ke_properties_check_together(List *properties, List **problems);

/* The first version (0x020601ff) that may be given the property; 0: any. */
extern int	ke_properties_since(const char *name);

#endif							/* KE_PROPERTIES_H */
