#!/bin/bash
# Kafka Connect's JsonConverter (Apache Kafka 4.3.1, schemas enabled) does not
# read back what it writes: NaN and both infinities, float or double, are
# written as text in quotes where the schema says "float" or "double", and its
# own reader takes any text in the place of a number for 0, without an error: an
# int64 of "42" is 0, too, and a boolean of "true" is false.  A sensor's NaN
# arrives at a sink connector as a measured zero.
#
# Seen with org.apache.kafka:connect-json 4.3.1 on Java 17:
#   NaN       {"schema":{"type":"double","optional":false},"payload":"NaN"}  0.0
#   -Infinity {"schema":...,"payload":"-Infinity"}                           0.0
#   {"schema":{"type":"int64"},"payload":"42"}                               0
#   {"schema":{"type":"boolean"},"payload":"true"}                           false
#
# Exits with 1 when that is no longer so, with 2 when it cannot be tried.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
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
	      <groupId>org.apache.kafka</groupId>
	      <artifactId>connect-json</artifactId>
	      <version>4.3.1</version>
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
	give_up "no connect-json 4.3.1"

cat >Numbers.java <<-'JAVA'
	import java.util.Map;
	import org.apache.kafka.connect.data.Schema;
	import org.apache.kafka.connect.errors.DataException;
	import org.apache.kafka.connect.json.JsonConverter;

	class Numbers
	{
		static final JsonConverter converter = new JsonConverter();

		static void read(Object what, byte[] json)
		{
			Object got;

			try {
				got = converter.toConnectData("t", json).value();
			} catch (DataException e) {
				got = "refused";
			}
			System.out.println(what + " is read as " + got);
		}

		static void pass(Schema schema, Object number)
		{
			byte[] json = converter.fromConnectData("t", schema, number);

			System.err.println(new String(json));
			read(schema.type() + " " + number, json);
		}

		public static void main(String[] none)
		{
			converter.configure(Map.of("converter.type", "value", "schemas.enable", "true"));
			pass(Schema.FLOAT64_SCHEMA, 1.5);
			pass(Schema.FLOAT64_SCHEMA, Double.NaN);
			pass(Schema.FLOAT64_SCHEMA, Double.NEGATIVE_INFINITY);
			pass(Schema.FLOAT32_SCHEMA, Float.POSITIVE_INFINITY);
			read("int64 \"42\"", "{\"schema\":{\"type\":\"int64\"},\"payload\":\"42\"}".getBytes());
			read("boolean \"true\"",
				"{\"schema\":{\"type\":\"boolean\"},\"payload\":\"true\"}".getBytes());
		}
	}
JAVA
java -XX:TieredStopAtLevel=1 -cp 'libs/*' Numbers.java >seen 2>java.log ||
	give_up "the converter does not run: $(tail -n 3 java.log)"
cat seen
cat >known <<-KNOWN
	FLOAT64 1.5 is read as 1.5
	FLOAT64 NaN is read as 0.0
	FLOAT64 -Infinity is read as 0.0
	FLOAT32 Infinity is read as 0.0
	int64 "42" is read as 0
	boolean "true" is read as false
KNOWN
cmp -s seen known || exit 1
