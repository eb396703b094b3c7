/*
 * sink_random.h
 *	  JSON as nobody would write it, from a seed.
 */
#ifndef KE_SINK_RANDOM_H
#define KE_SINK_RANDOM_H

#include "common/pg_prng.h"
#include "lib/stringinfo.h"

/* One of n, from 0. */
extern int	unit_random_below(pg_prng_state *state, int n);

/* A JSON value; depth is how deep it may nest. */
extern void unit_random_json(pg_prng_state *state, StringInfo out, int depth);

/*
 * An object whose keys are mostly of names, and whose values are mostly of
 * what JSON producers write for common types, right and wrong.
 */
extern void unit_random_object(pg_prng_state *state, StringInfo out,
							   const char **names, int nnames);

/* Change, lose, add or repeat some bytes, or none. */
extern void unit_random_damage(pg_prng_state *state, StringInfo text);

#endif							/* KE_SINK_RANDOM_H */
