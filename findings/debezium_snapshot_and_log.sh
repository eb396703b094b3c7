#!/bin/bash
# Debezium's PostgreSQL connector (3.6.1.Final) reads the same value
# differently in a snapshot and from the log: a date before Christ is after
# Christ in a snapshot (44 BC becomes 44 AD) and right in the log, and
# infinity is another number in each, of which none is a date of PostgreSQL; in
# the log that of -infinity is the larger one.
#
# Seen with PostgreSQL 16.2 (PyPI pgserver 0.1.4), pgoutput, other settings as
# they are; days since 1970 of the same rows:
#
#   44 BC       -703383 in a snapshot (44 AD)   -735160 from the log
#   infinity    -622191234                       -2147472692
#   -infinity   -625821272                       -2147472691
#
# Exits with 1 when that is no longer so, with 2 when it cannot be tried.
set -euo pipefail

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
cd "$work"
chmod 755 .

give_up()
{
	echo "cannot be tried: $1"
	exit 2
}

# PostgreSQL does not run as root.
unprivileged()
{
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
	else
		"$@"
	fi
}

sql()
{
	bin/psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -U postgres postgres
}

python3 -m venv venv
venv/bin/pip -q install pgserver==0.1.4 2>/dev/null || give_up "no pgserver 0.1.4"
ln -s venv/lib/python3*/site-packages/pgserver/pginstall/bin bin
cat >pom.xml <<-'XML'
	<project xmlns="http://maven.apache.org/POM/4.0.0">
	  <modelVersion>4.0.0</modelVersion>
	  <groupId>x</groupId><artifactId>x</artifactId><version>1</version><packaging>pom</packaging>
	  <dependencies>
	    <dependency><groupId>io.debezium</groupId><artifactId>debezium-embedded</artifactId><version>3.6.1.Final</version></dependency>
	    <dependency><groupId>io.debezium</groupId><artifactId>debezium-connector-postgres</artifactId><version>3.6.1.Final</version></dependency>
	  </dependencies>
	</project>
XML
mvn -q -B dependency:copy-dependencies -DoutputDirectory=libs >maven.log 2>&1 </dev/null ||
	give_up "no Debezium 3.6.1.Final: $(tail -n 3 maven.log)"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir run
[ "$(id -u)" -ne 0 ] || chown 65534:65534 run
unprivileged bin/initdb -D run/data -A trust -U postgres -E UTF8 --locale=C >initdb.log
unprivileged bin/postgres -D run/data -p "$port" -k "$work/run" -c wal_level=logical \
	-c listen_addresses=127.0.0.1 -c timezone=UTC >postgres.log 2>&1 &
for _ in $(seq 100); do
	! bin/pg_isready -q -h 127.0.0.1 -p "$port" || break
	sleep 0.1
done

# Debezium's own engine, without a Kafka: each event's "after" is a line of
# the file events.
cat >Engine.java <<-'JAVA'
	import io.debezium.engine.*;
	import io.debezium.engine.format.Json;
	import java.util.Properties;
	public class Engine
	{
		public static void main(String[] args) throws Exception
		{
			Properties p = new Properties();
			p.setProperty("name", "x");
			p.setProperty("connector.class", "io.debezium.connector.postgresql.PostgresConnector");
			p.setProperty("offset.storage", "org.apache.kafka.connect.storage.MemoryOffsetBackingStore");
			p.setProperty("database.hostname", "127.0.0.1");
			p.setProperty("database.port", args[0]);
			p.setProperty("database.user", "postgres");
			p.setProperty("database.password", "x");
			p.setProperty("database.dbname", "postgres");
			p.setProperty("topic.prefix", "x");
			p.setProperty("plugin.name", "pgoutput");
			p.setProperty("converter.schemas.enable", "false");
			DebeziumEngine<ChangeEvent<String, String>> engine = DebeziumEngine.create(Json.class).using(p)
				.notifying(record -> System.out.println(record.value())).build();
			engine.run();
		}
	}
JAVA

sql <<<"CREATE TABLE t (id int PRIMARY KEY, d date);
	INSERT INTO t VALUES (1, '0044-03-15 BC'), (2, 'infinity'), (3, '-infinity')"
java -cp 'libs/*' Engine.java "$port" >events 2>engine.log &

# wait_for COUNT: so many events
wait_for()
{
	for _ in $(seq 600); do
		[ "$(grep -c '"after"' events || true)" -lt "$1" ] || return 0
		sleep 0.1
	done
	give_up "events do not come: $(tail -n 3 engine.log)"
}

wait_for 3
sql <<<'INSERT INTO t SELECT id + 3, d FROM t ORDER BY id'
wait_for 6
python3 - <<-'PYTHON'
	import datetime, json, sys
	days = {row["id"]: row["d"] for row in (json.loads(line)["after"] for line in open("events"))}
	for id, name in (1, "44 BC"), (2, "infinity"), (3, "-infinity"):
	    print(f"{name}: {days[id]} in the snapshot, {days[id + 3]} from the log")
	# the days of 44 BC (year -43) and 44 AD, by the same day 400 years later
	ad = (datetime.date(44, 3, 15) - datetime.date(1970, 1, 1)).days
	bc = (datetime.date(357, 3, 15) - datetime.date(1970, 1, 1)).days - 146097
	earliest = 10957 - 2451545  # the first date of PostgreSQL, in 4714 BC
	print(f"44 AD would be {ad}, 44 BC {bc}")
	sys.exit(not (days[1] == ad and days[4] == bc and days[5] < days[6] < earliest
	              and days[2] != days[5] and days[3] != days[6]))
PYTHON
