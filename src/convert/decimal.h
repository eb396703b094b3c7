/*
 * decimal.h
 *	  Unscaled big-endian integers of any size, as decimal text.
 *
 * That is how Avro and Kafka Connect write decimals: two's complement, the
 * highest byte first, perhaps in more bytes than needed.
 */
#ifndef KE_DECIMAL_H
#define KE_DECIMAL_H

/* No numeric has as many digits as more bytes than this make. */
#define KE_DECIMAL_MAX_BYTES 61440

/* Leave out the bytes at the front that only repeat the sign. */
extern void ke_decimal_strip(const char **bytes, int32 *len);

/* The integer, of 8 bytes at most. */
extern int64 ke_decimal_int(const char *bytes, int32 len);

/*
 * Such an integer divided by 10^scale, which is from 0 to
 * KE_DECIMAL_INT_SCALE, as ke_decimal_print prints it.
 */
#define KE_DECIMAL_INT_SCALE 40
extern int32 ke_decimal_print_int(char *dst, int64 value, int32 scale);

/* The bytes that ke_decimal_print may write. */
extern Size ke_decimal_room(int32 len, int32 scale);

/*
 * The integer divided by 10^scale, exactly and with scale decimals: a JSON
 * number.  len is at least 1 and at most KE_DECIMAL_MAX_BYTES.  Returns how
 * many bytes were written; there is no NUL.
 */
extern int32 ke_decimal_print(char *dst, const char *bytes, int32 len,
							  int32 scale);

#endif							/* KE_DECIMAL_H */
