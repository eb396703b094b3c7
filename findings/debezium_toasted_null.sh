#!/bin/bash
# Debezium's PostgreSQL connector (3.6.1.Final) marks a TOASTed value that an
# update did not touch with unavailable.value.placeholder, as documented, but
# not for every type: for numeric without a scale, and for arrays of numeric,
# floating-point numbers and timestamps with time zone, the event has null.  Who
# applies it cannot tell that from a value that was set to NULL.
#
# Seen with PostgreSQL 16.2 (PyPI pgserver 0.1.4), pgoutput, replica identity
# default: the events of "UPDATE t SET n = n + 1" had
#   c_text "__debezium_unavailable_value", c_dates the placeholder's bytes, but
#   c_numeric null, c_doubles null, c_numerics null, c_timestamptzs null
# while all columns kept their values of thousands of bytes.
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

sql <<-'SQL'
	CREATE TABLE t (id int PRIMARY KEY, n int, c_text text, c_dates date[], c_numeric numeric, c_doubles float8[],
		c_numerics numeric(10,2)[], c_timestamptzs timestamptz[]);
	ALTER TABLE t ALTER c_text SET STORAGE EXTERNAL, ALTER c_dates SET STORAGE EXTERNAL,
		ALTER c_numeric SET STORAGE EXTERNAL, ALTER c_doubles SET STORAGE EXTERNAL,
		ALTER c_numerics SET STORAGE EXTERNAL, ALTER c_timestamptzs SET STORAGE EXTERNAL;
	INSERT INTO t SELECT 1, 0, repeat('x', 5000), array_agg(date '2024-01-01' + g), ('1' || repeat('7', 9000))::numeric,
		array_agg(g::float8), array_agg(g::numeric(10,2)), array_agg(timestamptz '2024-01-01')
		FROM generate_series(1, 1500) g;
SQL
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
sql <<<'UPDATE t SET n = n + 1'
wait_for 2
python3 - <<-'PYTHON'
	import json, sys
	first, second = [json.loads(line)["after"] for line in open("events")][:2]
	sent = {name for name, value in first.items() if value is not None}
	null = sorted(name for name in sent if second[name] is None)
	print("there in the snapshot, null in the update that did not touch it:", *null)
	print("c_text in the update:", second["c_text"])
	sys.exit(null != ["c_doubles", "c_numeric", "c_numerics", "c_timestamptzs"]
	         or second["c_text"] != "__debezium_unavailable_value")
PYTHON
