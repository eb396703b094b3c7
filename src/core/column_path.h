/*
 * column_path.h
 *	  Where in a message's value a column's value is: the option column_map.
 *
 * A path is the names of fields with dots between them and the numbers of
 * array elements in brackets, from 0: address.city, items[0].sku.  A name with
 * other characters in it stands in double quotes, in which a backslash makes
 * the next character plain.  "$" is the whole value, and may begin a path.
 */
#ifndef KE_COLUMN_PATH_H
#define KE_COLUMN_PATH_H

typedef struct KePathStep
{
	char	   *name;			/* of a field; NULL: an element */
	int			len;
	int			index;			/* of an element */
} KePathStep;

typedef struct KeColumnPath
{
	char	   *column;
	char	   *path;			/* as written */
	KePathStep *steps;
	int			nsteps;			/* 0: the whole value */
} KeColumnPath;

/*
 * Read the option, the text of a JSON object: column to path.  Returns what is
 * wrong with it ("must be ..."), or NULL; raises nothing.  In the current
 * context.
 */
extern const char *ke_column_path_parse(const char *text,
										KeColumnPath **paths, int *npaths);

#endif							/* KE_COLUMN_PATH_H */
