# strip.awk: C sources without comments and contents of strings.
#
# Writes each input file to code/<its name>, line for line, and the lines
# that are wider than 79 columns although their strings are taken out to
# code/wide.  Characters are kept as '' and strings as "".

# Columns of a line with tabs of 4.
function width(line,   i, n, c)
{
	n = 0
	for (i = 1; i <= length(line); i++) {
		c = substr(line, i, 1)
		n += c == "\t" ? 4 - n % 4 : 1
	}
	return n
}

# Sets bare (no comments, empty strings) and whole (empty strings only).
function strip(line,   i, c, two, quote)
{
	bare = whole = ""
	quote = ""
	for (i = 1; i <= length(line); i++) {
		c = substr(line, i, 1)
		two = substr(line, i, 2)
		if (in_comment) {
			whole = whole c
			if (two == "*/") {
				in_comment = 0
				whole = whole "/"
				i++
			}
		} else if (quote != "") {
			if (c == "\\")
				i++
			else if (c == quote) {
				quote = ""
				bare = bare c
				whole = whole c
			}
		} else if (two == "/*") {
			in_comment = 1
			whole = whole two
			i++
		} else if (two == "//") {
			bare = bare "@line-comment@"
			whole = whole substr(line, i)
			break
		} else {
			if (c == "\"" || c == "'")
				quote = c
			bare = bare c
			whole = whole c
		}
	}
}

BEGIN {
	printf "" >(code "/wide")
}

FNR == 1 {
	if (out != "")
		close(out)
	out = code "/" FILENAME
	in_comment = 0
}

{
	strip($0)
	print bare >out
	if (length($0) > 0 && width(whole) > 79)
		print FILENAME ":" FNR ": " width(whole) " columns" >(code "/wide")
}
