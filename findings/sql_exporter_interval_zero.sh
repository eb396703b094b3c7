#!/bin/bash
# sql_exporter (justwatchcom, Debian's prometheus-sql-exporter 0.4.5-1+b5) with
# a job of interval 0s does not run the queries when it is scraped: it runs them
# in a loop without a pause, whether anybody scrapes it or not.
#
# Seen on Debian 12 with PostgreSQL 16.2 (PyPI pgserver 0.1.4): "SELECT 1" of a
# job with interval 0s ran thousands of times in three seconds without a scrape,
# and one core was busy; with 1s it ran three or four times.
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

apt-get -q download prometheus-sql-exporter=0.4.5-1+b5 >/dev/null 2>&1 ||
	give_up "no package prometheus-sql-exporter 0.4.5-1+b5"
dpkg -x prometheus-sql-exporter_*.deb exporter
python3 -m venv venv
venv/bin/pip -q install pgserver==0.1.4 2>/dev/null || give_up "no pgserver 0.1.4"

# pgserver stops its server when the program that asked for it ends
cat >start.py <<-'PYTHON'
	import pgserver, sys, time
	server = pgserver.get_server(sys.argv[1])
	open('uri', 'w').write(server.get_uri())
	time.sleep(60)
PYTHON
venv/bin/python start.py "$work/data" >server.log 2>&1 &
for _ in $(seq 300); do
	[ ! -s uri ] || break
	sleep 0.1
done
[ -s uri ] || give_up "PostgreSQL does not start"

# runs INTERVAL: how often a query runs in three seconds that nobody scrapes
runs()
{
	local exporter

	cat >config.yml <<-YAML
		jobs:
		  - name: job
		    interval: $1
		    connections: ['$(sed s/postgresql:/postgres:/ uri)&sslmode=disable']
		    queries:
		      - name: one
		        help: one
		        values: [one]
		        query: SELECT 1.0 AS one
	YAML
	LOGLEVEL=DEBUG exporter/usr/bin/prometheus-sql-exporter -config.file config.yml \
		-web.listen-address 127.0.0.1:0 >exporter.log 2>&1 &
	exporter=$!
	sleep 3
	kill "$exporter"
	wait "$exporter" 2>/dev/null || true
	grep -c 'Query finished' exporter.log || true
}

often=$(runs 0s)
seldom=$(runs 1s)
echo "in 3 s without a scrape: interval 0s ran $often times, 1s $seldom times"
[ "$seldom" -ge 1 ] || give_up "the query does not run: $(tail -n 3 exporter.log)"
[ "$often" -gt 100 ] || exit 1
