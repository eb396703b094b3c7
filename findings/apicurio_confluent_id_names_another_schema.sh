#!/bin/bash
# Apicurio Registry 2.6.13.Final has an API like Confluent's registry, and its
# serializers have an option to write like Confluent's (as-confluent: a zero
# byte, four bytes of schema id).  The two do not fit together: the serializer
# writes the globalId, the API looks for a contentId.  While nothing but new
# schemas is registered the two numbers are the same; a producer that starts
# again with its schema uses up a contentId, and from then on a reader of that
# API gets no schema, or another record's, with status 200.  Of a record with
# the same types of fields it then reads the right numbers under a wrong name.
# (use-id=contentId in the serializer makes them fit.)
#
# Seen on Java 17 with a fresh registry; three producers with a schema each,
# all started twice, and what schemas/ids/N has for the N they wrote:
#   Ant wrote id 1, the Confluent API has Ant
#   Bee wrote id 2, the Confluent API has nothing
#   Cat wrote id 3, the Confluent API has Bee
#
# Exits with 1 when that is no longer so, with 2 when it cannot be tried.
set -euo pipefail

work=$(mktemp -d)
trap 'kill -KILL $(jobs -p) 2>/dev/null || true; wait 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"

give_up()
{
	echo "cannot be tried: $1"
	exit 2
}

cat >pom.xml <<-XML
	<project xmlns="http://maven.apache.org/POM/4.0.0">
	  <modelVersion>4.0.0</modelVersion>
	  <groupId>finding</groupId>
	  <artifactId>finding</artifactId>
	  <version>1</version>
	  <packaging>pom</packaging>
	  <dependencies>
	    <dependency>
	      <groupId>io.apicurio</groupId>
	      <artifactId>apicurio-registry-serdes-avro-serde</artifactId>
	      <version>2.6.13.Final</version>
	    </dependency>
	    <dependency>
	      <groupId>org.slf4j</groupId>
	      <artifactId>slf4j-nop</artifactId>
	      <version>1.7.36</version>
	    </dependency>
	  </dependencies>
	</project>
XML
mvn -q -B dependency:copy-dependencies -DoutputDirectory=libs >maven.log 2>&1 </dev/null ||
	give_up "no serializer of Apicurio 2.6.13.Final"
mvn -q -B dependency:copy -Dartifact=io.apicurio:apicurio-registry-app:2.6.13.Final:tar.gz:all \
	-DoutputDirectory=. >maven.log 2>&1 </dev/null ||
	give_up "no Apicurio Registry 2.6.13.Final"
mkdir registry
tar -xzf apicurio-registry-app-*.tar.gz -C registry

port=$(python3 -c 'import socket
print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
(
	cd registry
	exec java -Xmx384m -XX:TieredStopAtLevel=1 -Dquarkus.http.host=127.0.0.1 \
		-Dquarkus.http.port="$port" -cp './*:lib/*' io.quarkus.runner.GeneratedMain
) >registry.log 2>&1 &
for _ in $(seq 600); do
	! curl -sf "http://127.0.0.1:$port/apis/ccompat/v7/subjects" >subjects || break
	sleep 0.2
done
[ -s subjects ] || give_up "the registry does not start: $(tail -n 3 registry.log)"

cat >Write.java <<-'JAVA'
	import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
	import java.nio.ByteBuffer;
	import java.util.Map;
	import org.apache.avro.Schema;
	import org.apache.avro.SchemaBuilder;
	import org.apache.avro.generic.GenericData;

	class Write
	{
		/* A producer that starts, writes one record and ends. */
		static int produce(String registry, String name)
		{
			Schema schema = SchemaBuilder.record(name).fields().requiredInt(name + "s").endRecord();
			GenericData.Record record = new GenericData.Record(schema);

			record.put(0, 7);
			try (AvroKafkaSerializer<GenericData.Record> serializer = new AvroKafkaSerializer<>()) {
				serializer.configure(Map.of("apicurio.registry.url", registry,
					"apicurio.registry.auto-register", true,
					"apicurio.registry.headers.enabled", false,
					"apicurio.registry.as-confluent", true), false);
				return ByteBuffer.wrap(serializer.serialize(name, record)).getInt(1);
			}
		}

		public static void main(String[] registry)
		{
			for (String name : new String[] {"Ant", "Bee", "Cat"}) {
				int id = produce(registry[0], name);

				if (id != produce(registry[0], name))
					throw new IllegalStateException("another id after the second start");
				System.out.println(name + " " + id);
			}
		}
	}
JAVA
java -XX:TieredStopAtLevel=1 -cp 'libs/*' Write.java "http://127.0.0.1:$port/apis/registry/v2" \
	>ids 2>write.log || give_up "the serializer does not run: $(tail -n 3 write.log)"
while read -r name id; do
	has=$(curl -sf "http://127.0.0.1:$port/apis/ccompat/v7/schemas/ids/$id" |
		grep -oE 'Ant|Bee|Cat' | head -n 1 || true)
	echo "$name wrote id $id, the Confluent API has ${has:-nothing}"
done <ids | tee seen
cat >known <<-KNOWN
	Ant wrote id 1, the Confluent API has Ant
	Bee wrote id 2, the Confluent API has nothing
	Cat wrote id 3, the Confluent API has Bee
KNOWN
cmp -s seen known || exit 1
