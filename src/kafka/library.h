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

#if RD_KAFKA_VERSION < 0x020002ff
#error "kafka_events needs librdkafka 2.0.2 or later"
#endif

#endif							/* KE_LIBRARY_H */
