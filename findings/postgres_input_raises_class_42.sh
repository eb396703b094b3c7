#!/bin/bash
# PostgreSQL's input functions do not keep to SQLSTATE class 22 (data
# exception) for text they cannot read.  For tsvector, tsquery, jsonpath and most
# reg types they raise class 42 (syntax error or access rule violation), the
# class of a wrong query: a wrong value of tsvector has the code of a misspelt
# SELECT (42601), one of regclass that of a table that was dropped (42P01), one
# of regprocedure that of a function that is not there (42883).  Who takes class
# 42 for "the statement is wrong, stop" and 22 for "the value is wrong, go on"
# stops at one bad value.  pg_input_error_info(), which is there to judge data,
# has the same codes.
#
# Seen with PostgreSQL 16.2 (PyPI pgserver 0.1.4): 22P02 for integer and uuid,
# 42601 for tsvector, tsquery and jsonpath, 42P01 for regclass, 42704 for
# regrole, 42883 for regprocedure.
#
# Exits with 1 when that is no longer so, with 2 when it cannot be tried.
set -euo pipefail

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

give_up()
{
	echo "cannot be tried: $1"
	exit 2
}

python3 -m venv venv
venv/bin/pip -q install pgserver==0.1.4 2>/dev/null || give_up "no pgserver 0.1.4"

# pgserver stops its server when the program that asked for it ends
cat >ask.py <<-'PYTHON'
	import pgserver, sys
	server = pgserver.get_server(sys.argv[1])
	for type, text in [('integer', 'x'), ('uuid', 'x'), ('tsvector', 'a:'),
	                   ('tsquery', 'a &'), ('jsonpath', '$.['),
	                   ('regclass', 'nowhere'), ('regrole', 'nobody'),
	                   ('regprocedure', 'nothing(integer)')]:
	    print(server.psql(f"""
	        \\pset format unaligned
	        \\pset tuples_only
	        SELECT '{type}', pg_input_is_valid('{text}', '{type}'), sql_error_code
	        FROM pg_input_error_info('{text}', '{type}')""").split('\n')[-2])
PYTHON
venv/bin/python ask.py "$work/data" >seen 2>server.log ||
	give_up "PostgreSQL does not start: $(tail -n 3 server.log)"
cat seen
cat >known <<-KNOWN
	integer|f|22P02
	uuid|f|22P02
	tsvector|f|42601
	tsquery|f|42601
	jsonpath|f|42601
	regclass|f|42P01
	regrole|f|42704
	regprocedure|f|42883
KNOWN
cmp -s seen known || exit 1
