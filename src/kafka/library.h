/*
 * library.h
 *	  librdkafka's header, for files in kafka/ only.
 *
 * Some versions of it do not compile without warnings.
 */
#ifndef KE_LIBRARY_H
#define KE_LIBRARY_H

#pragma GCC system_header
#include <librdkafka/rdkafka.h>

#endif							/* KE_LIBRARY_H */
