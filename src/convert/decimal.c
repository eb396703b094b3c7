/*
 * decimal.c
 *	  Unscaled big-endian integers of any size, as decimal text.
 */
#include "postgres.h"
#include "core/compat.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "convert/decimal.h"

/* Digits that one division of a large number yields. */
#define STEP_DIGITS 9
#define STEP UINT64CONST(1000000000)

void
ke_decimal_strip(const char **bytes, int32 *len)
{
	const signed char *p = (const signed char *) *bytes;
	int32		n = *len;

	while (n > 1 && ((p[0] == 0 && p[1] >= 0) || (p[0] == -1 && p[1] < 0)))
	{
		p++;
		n--;
	}
	*bytes = (const char *) p;
	*len = n;
}

/* A byte makes fewer than 2.5 digits. */
Size
ke_decimal_room(int32 len, int32 scale)
{
	return (Size) len * 5 / 2 + abs(scale) + STEP_DIGITS + 4;
}

int64
ke_decimal_int(const char *bytes, int32 len)
{
	uint64		value = (signed char) bytes[0] < 0 ? ~UINT64CONST(0) : 0;

	for (int32 i = 0; i < len; i++)
		value = value << BITS_PER_BYTE | (unsigned char) bytes[i];
	return (int64) value;
}

/* The number without its sign, the lowest 32 bits first; how many of them. */
static int
magnitude(uint32 *words, const char *bytes, int32 len)
{
	bool		negative = (signed char) bytes[0] < 0;
	unsigned char flip = negative ? 0xff : 0;
	int			nwords = (len + 3) / 4;
	uint64		carry = negative ? 1 : 0;

	memset(words, 0, nwords * sizeof(uint32));
	for (int32 i = 0; i < len; i++)
	{
		unsigned char byte = (unsigned char) bytes[len - 1 - i] ^ flip;

		words[i / 4] |= (uint32) byte << i % 4 * BITS_PER_BYTE;
	}
	for (int i = 0; i < nwords && carry > 0; i++)
	{
		carry += words[i];
		words[i] = (uint32) carry;
		carry >>= 32;
	}
	return nwords;
}

/* The digits of a large number, before end; returns the first of them. */
static char *
print_large(char *end, const char *bytes, int32 len)
{
	uint32	   *words = palloc((len + 3) / 4 * sizeof(uint32));
	int			nwords = magnitude(words, bytes, len);
	char	   *p = end;

	while (nwords > 0)
	{
		uint64		rest = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = nwords - 1; i >= 0; i--)
		{
			uint64		part = rest << 32 | words[i];

			words[i] = (uint32) (part / STEP);
			rest = part % STEP;
		}
		while (nwords > 0 && words[nwords - 1] == 0)
			nwords--;
		for (int i = 0; i < STEP_DIGITS; i++)
		{
			*--p = '0' + (int) (rest % 10);
			rest /= 10;
		}
	}
	pfree(words);
	while (p < end - 1 && *p == '0')
		p++;
	return p;
}

/* n digits with their point, or zeros behind them. */
static char *
place_point(char *dst, const char *digits, int32 n, int32 scale)
{
	if (scale <= 0)
	{
		memcpy(dst, digits, n);
		dst += n;
		if (n > 1 || digits[0] != '0')
		{
			memset(dst, '0', -scale);
			dst += -scale;
		}
		return dst;
	}
	if (n > scale)
	{
		memcpy(dst, digits, n - scale);
		dst += n - scale;
		digits += n - scale;
		n = scale;
	}
	else
		*dst++ = '0';
	*dst++ = '.';
	memset(dst, '0', scale - n);
	dst += scale - n;
	memcpy(dst, digits, n);
	return dst + n;
}

int32
ke_decimal_print_int(char *dst, int64 value, int32 scale)
{
	char		digits[MAXINT8LEN + 1];
	char	   *p = dst;
	int			n = pg_ulltoa_n(value < 0 ? -(uint64) value : (uint64) value,
								digits);

	if (value < 0)
		*p++ = '-';
	return (int32) (place_point(p, digits, n, scale) - dst);
}

int32
ke_decimal_print(char *dst, const char *bytes, int32 len, int32 scale)
{
	Size		room = ke_decimal_room(len, 0);
	char	   *digits;
	char	   *first;
	char	   *p = dst;

	if (len <= sizeof(int64))
		return ke_decimal_print_int(dst, ke_decimal_int(bytes, len), scale);
	digits = palloc(room);
	first = print_large(digits + room, bytes, len);
	if ((signed char) bytes[0] < 0)
		*p++ = '-';
	p = place_point(p, first, (int32) (digits + room - first), scale);
	pfree(digits);
	return (int32) (p - dst);
}
