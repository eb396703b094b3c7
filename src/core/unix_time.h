/*
 * unix_time.h
 *	  Times as Kafka counts them: since 1970, where PostgreSQL begins in 2000.
 *
 * SetEpochTimestamp() computes the distance anew each time, which is too slow
 * for what is done for every message.
 */
#ifndef KE_UNIX_TIME_H
#define KE_UNIX_TIME_H

#include "datatype/timestamp.h"

#define KE_UNIX_EPOCH_DISTANCE_US \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

static inline int64
ke_unix_us(TimestampTz time)
{
	return time + KE_UNIX_EPOCH_DISTANCE_US;
}

static inline int64
ke_unix_ms(TimestampTz time)
{
	return ke_unix_us(time) / 1000;
}

#endif							/* KE_UNIX_TIME_H */
