#!/bin/bash
# Debezium's PostgreSQL connector (3.6.1.Final) takes an array of two
# dimensions and writes none of its elements: of text[] it sends Java's names of
# the inner arrays, of int[] nulls, both as values of a right type and without
# an error or a warning about the value.
#
# Seen with PostgreSQL 16.2 (PyPI pgserver 0.1.4), settings as they are, the
# same in the snapshot and from the log:
#   {{a,b},{c,d}}  ["[Ljava.lang.String;@77f6d7ab","[Ljava.lang.String;@7bd3a87b"]
#   {{1,2},{3,4}}  [null,null]
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

sql <<<"CREATE TABLE t (id int PRIMARY KEY, words text[], numbers int[]);
	INSERT INTO t VALUES (1, '{{a,b},{c,d}}', '{{1,2},{3,4}}')"
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

wait_for 1
sql <<<'INSERT INTO t SELECT id + 1, words, numbers FROM t'
wait_for 2
python3 - <<-'PYTHON'
	import json, sys
	rows = [json.loads(line)["after"] for line in open("events")]
	for row in rows:
	    print("snapshot:" if row["id"] == 1 else "log:", json.dumps(row))
	sys.exit(not all(row["numbers"] == [None, None] and len(row["words"]) == 2 and
	                 all(word.startswith("[Ljava.lang.String;@") for word in row["words"])
	                 for row in rows))
PYTHON
