# types.awk: types whose names begin with Ke and that are defined twice.
#
# Reads stripped sources.  A tag is defined where a brace follows it, and what
# a typedef names is defined there, unless it only repeats its own tag: so
# typedef struct KeX KeX; defines nothing, and typedef struct KeX { } KeX; one
# type.

function define(name)
{
	if (name !~ /^Ke[A-Z]/)
		return
	if (name in seen)
		print FILENAME ":" FNR ": type " name " is also in " seen[name]
	else
		seen[name] = FILENAME ":" FNR
}

# The name is the last word before the typedef's arguments or bounds, or the
# word after the star of a pointer to a function.
function in_typedef(token)
{
	if (token == ";") {
		if (name != tag)
			define(name)
		typedef = 0
	} else if (token == "(" || token == "[")
		opened++
	else if (token == "*" && last == "(" && opened == 1)
		pointer = 1
	else if (token ~ /^[A-Za-z_]/ && (!opened || pointer)) {
		name = token
		pointer = 0
	}
}

function take(token)
{
	if (last ~ /^(struct|union|enum)$/) {
		new_tag = token
		if (typedef && depth == typedef_depth)
			tag = token
	} else if (token == "{" && new_tag == last)
		define(new_tag)
	if (token == "{")
		depth++
	else if (token == "}")
		depth--
	else if (token == "typedef") {
		typedef = 1
		typedef_depth = depth
		tag = name = ""
		pointer = opened = 0
	} else if (typedef && depth == typedef_depth)
		in_typedef(token)
	last = token
}

FNR == 1 {
	depth = typedef = continued = 0
	last = new_tag = ""
}

# Directives hold no types, nor do the lines that continue them.
continued || /^[ \t]*#/ {
	continued = /\\$/
	next
}

{
	gsub(/[^A-Za-z0-9_]/, " & ")
	n = split($0, tokens)
	for (i = 1; i <= n; i++)
		take(tokens[i])
}
