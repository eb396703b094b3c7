/*
 * numeric_build.c
 *	  Decimal text into a numeric, without calling numeric_in.
 *
 * Writes the short form of the on-disk format that numeric.c describes; that
 * format cannot change without pg_upgrade noticing.  A fuzz test compares
 * with numeric_in, byte by byte.
 */
#include "postgres.h"
#include "core/compat.h"

#include "convert/numeric_build.h"

/* As in numeric.c. */
#define DIGITS_PER_GROUP 4
#define GROUP 10000
#define SHORT_FORM 0x8000
#define SHORT_NEGATIVE 0x2000
#define SHORT_SCALE_SHIFT 7
#define SHORT_WEIGHT_NEGATIVE 0x0040
#define SHORT_WEIGHT_MASK 0x003F

/* Well inside what the short form holds: 63 decimals, 64 groups. */
#define MAX_SCALE 60
#define MAX_TEXT 120

/* A thousand times this is still one of 64 bits. */
#define MAX_INT INT64CONST(9000000000000000)

/* The value of n digits, n at most 4. */
static inline int
group_value(const char *digits, int n)
{
	int			value = 0;

	for (int i = 0; i < n; i++)
		value = value * 10 + (digits[i] - '0');
	return value;
}

static inline const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/*
 * Append the groups of the digits in [p, end) to groups, of which there are
 * n; the first group takes `first` digits, a last one that is short is filled
 * with zeros.  Zero groups at the front are left out and counted in *skipped.
 */
static inline int
append_groups(int16 *groups, int n, const char *p, const char *end, int first,
			  int *skipped)
{
	static const int scale[] = {1, 1000, 100, 10, 1};
	int			take = first;

	while (p < end)
	{
		int			have = Min(take, (int) (end - p));
		int			value = group_value(p, have);

		if (have < take)
			value *= scale[have];
		if (n == 0 && value == 0)
			(*skipped)++;
		else
			groups[n++] = (int16) value;
		p += have;
		take = DIGITS_PER_GROUP;
	}
	return n;
}

/*
 * Complete the numeric whose groups are in their place, the first one not
 * zero; weight is the first one's.  Returns its size.
 */
static int
finish(char *dst, const int16 *groups, int n, int weight, bool negative,
	   int scale)
{
	uint16		header;

	while (n > 0 && groups[n - 1] == 0)
		n--;
	if (n == 0)
	{
		weight = 0;
		negative = false;
	}

	header = SHORT_FORM | (scale << SHORT_SCALE_SHIFT) |
		(weight & SHORT_WEIGHT_MASK);
	if (negative)
		header |= SHORT_NEGATIVE;
	if (weight < 0)
		header |= SHORT_WEIGHT_NEGATIVE;
	memcpy(dst + VARHDRSZ, &header, sizeof(header));
	SET_VARSIZE(dst, VARHDRSZ + sizeof(header) + n * sizeof(int16));
	return VARSIZE(dst);
}

int
ke_numeric_build(char *dst, const char *text, int len, int min_scale)
{
	const char *end = text + len;
	const char *p = text;
	const char *whole;
	const char *point;
	int16	   *groups = (int16 *) (dst + VARHDRSZ + sizeof(uint16));
	bool		negative = false;
	int			scale = 0;
	int			weight;
	int			skipped = 0;
	int			n;

	if (len == 0 || len > MAX_TEXT || min_scale > MAX_SCALE)
		return 0;
	if (*p == '-')
	{
		negative = true;
		p++;
	}
	whole = p;
	point = p = skip_digits(p, end);
	if (point == whole)
		return 0;
	if (p < end && *p == '.')
	{
		p = skip_digits(p + 1, end);
		scale = (int) (p - point) - 1;
		if (scale == 0 || scale > MAX_SCALE)
			return 0;
	}
	if (p < end)
		return 0;

	n = (int) (point - whole) % DIGITS_PER_GROUP;
	weight = ((int) (point - whole) + DIGITS_PER_GROUP - 1) /
		DIGITS_PER_GROUP - 1;
	n = append_groups(groups, 0, whole, point, n == 0 ? DIGITS_PER_GROUP : n,
					  &skipped);
	if (scale > 0)
		n = append_groups(groups, n, point + 1, end, DIGITS_PER_GROUP,
						  &skipped);
	weight -= skipped;
	return finish(dst, groups, n, weight, negative, Max(scale, min_scale));
}

/*
 * value has its scale's groups behind the point and up to 5 before, after
 * being made a multiple of a group.
 */
int
ke_numeric_build_int(char *dst, int64 value, int scale, int min_scale)
{
	static const int fill[] = {1, 1000, 100, 10};
	int16	   *groups = (int16 *) (dst + VARHDRSZ + sizeof(uint16));
	int16		reverse[8];
	uint64		rest = value < 0 ? -(uint64) value : (uint64) value;
	int			n = 0;
	int			behind = (scale + DIGITS_PER_GROUP - 1) / DIGITS_PER_GROUP;

	if (scale < 0 || Max(scale, min_scale) > MAX_SCALE || rest > MAX_INT)
		return 0;
	rest *= fill[scale % DIGITS_PER_GROUP];
	while (rest > 0)
	{
		reverse[n++] = (int16) (rest % GROUP);
		rest /= GROUP;
	}
	for (int i = 0; i < n; i++)
		groups[i] = reverse[n - 1 - i];
	return finish(dst, groups, n, n - 1 - behind, value < 0,
				  Max(scale, min_scale));
}
