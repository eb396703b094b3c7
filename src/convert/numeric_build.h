/*
 * numeric_build.h
 *	  Decimal text into a numeric, without calling numeric_in.
 */
#ifndef KE_NUMERIC_BUILD_H
#define KE_NUMERIC_BUILD_H

/* Room that ke_numeric_build needs for a text of len bytes. */
#define KE_NUMERIC_ROOM(len) (VARHDRSZ + 2 + 2 * ((len) / 4 + 2))

/*
 * Write to dst (2-byte aligned) the numeric that numeric_in makes of text,
 * which is "-"? digits ("." digits)?, with at least min_scale decimals.
 * Returns its size, or 0 when the text has another form or is too long, and
 * numeric_in is to be asked.
 */
extern int	ke_numeric_build(char *dst, const char *text, int len,
							 int min_scale);

/* Room for any number that ke_numeric_build_int writes. */
#define KE_NUMERIC_INT_ROOM 64

/*
 * The same for value / 10^scale, with at least min_scale decimals; 0 where it
 * leaves the number to the text's way.
 */
extern int	ke_numeric_build_int(char *dst, int64 value, int scale,
								 int min_scale);

#endif							/* KE_NUMERIC_BUILD_H */
