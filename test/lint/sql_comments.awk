# sql_comments.awk: what an install script creates without a COMMENT on it.
#
# Overloads count: as many comments as functions of a name.

function name_of(text)
{
	sub(/^[ \t]+/, "", text)
	sub(/[ \t(;].*/, "", text)
	return text
}

function created(kind, text)
{
	text = kind " " name_of(text)
	creations[text]++
	if (!(text in first))
		first[text] = FNR
}

/^CREATE( OR REPLACE)? FUNCTION/ { sub(/.*FUNCTION/, ""); created("FUNCTION", $0); next }
/^CREATE( OR REPLACE)? PROCEDURE/ { sub(/.*PROCEDURE/, ""); created("PROCEDURE", $0); next }
/^CREATE( OR REPLACE)? AGGREGATE/ { sub(/.*AGGREGATE/, ""); created("AGGREGATE", $0); next }
/^CREATE( OR REPLACE)? VIEW/ { sub(/.*VIEW/, ""); created("VIEW", $0); next }
/^CREATE( UNLOGGED)? TABLE/ { sub(/.*TABLE/, ""); created("TABLE", $0); next }
/^CREATE SEQUENCE/ { sub(/.*SEQUENCE/, ""); created("SEQUENCE", $0); next }
/^CREATE (TYPE|DOMAIN)/ { kind = $2; sub(/^CREATE [A-Z]+/, ""); created(kind, $0); next }
/^CREATE SCHEMA/ { sub(/.*SCHEMA/, ""); created("SCHEMA", $0); next }
/^CREATE FOREIGN DATA WRAPPER/ { sub(/.*WRAPPER/, ""); created("FOREIGN DATA WRAPPER", $0); next }
/^CREATE EVENT TRIGGER/ { sub(/.*TRIGGER/, ""); created("EVENT TRIGGER", $0); next }

/^COMMENT ON / {
	sub(/^COMMENT ON /, "")
	if (/^FOREIGN DATA WRAPPER/) {
		kind = "FOREIGN DATA WRAPPER"
	} else if (/^EVENT TRIGGER/) {
		kind = "EVENT TRIGGER"
	} else
		kind = $1
	comments[kind " " name_of(substr($0, length(kind) + 1))]++
}

END {
	for (what in creations)
		if (comments[what] < creations[what])
			print file ":" first[what] ": " what " has no comment"
}
