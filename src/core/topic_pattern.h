/*
 * topic_pattern.h
 *	  Regular expressions that topics' whole names must match.
 */
#ifndef KE_TOPIC_PATTERN_H
#define KE_TOPIC_PATTERN_H

typedef struct KeTopicPattern KeTopicPattern;

/*
 * What is wrong with a regular expression, as the end of a sentence that
 * begins with it ("must be ..."), or NULL if it can be used.
 */
extern const char *ke_topic_pattern_problem(const char *regex);

/*
 * For many names, in the current context, with which it goes; NULL if it
 * cannot be used.
 */
extern KeTopicPattern *ke_topic_pattern_compile(const char *regex);

/* Does it match all of the name, as PostgreSQL's ~ would? */
extern bool ke_topic_pattern_matches(const KeTopicPattern *pattern,
									 const char *topic);

#endif							/* KE_TOPIC_PATTERN_H */
