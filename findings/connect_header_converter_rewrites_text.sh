#!/bin/bash
# Kafka Connect's default header converter (SimpleHeaderConverter, Apache Kafka
# 4.3.1) guesses a type for the text of a header, and the guess is not what the
# text says: the connector gets another value, without an error or a log line.
# The text after the first number is lost ("1,2" is the int8 1, "12:30:00" is
# 12), zeros are lost ("007" is 7, "1.50" is 1.5), a day that does not exist
# becomes one that does, and the hour is lost at midnight.  A connector that
# writes the header again writes the changed text.
#
# Seen with org.apache.kafka:connect-api 4.3.1 on Java 17, text in a header,
# what the connector gets, what is written again:
#   007                       INT8 7      7
#   1.50                      FLOAT32 1.5 1.5
#   1,2                       INT8 1      1
#   12:30:00                  INT8 12     12
#   2024-02-30                Date        2024-03-01
#   2024-01-01T00:00:00.000Z  Timestamp   2024-01-01
#   0x1F                      STRING 0x1F 0x1F
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
	      <artifactId>connect-api</artifactId>
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
	give_up "no connect-api 4.3.1"

cat >Headers.java <<-'JAVA'
	import java.util.Map;
	import org.apache.kafka.connect.data.SchemaAndValue;
	import org.apache.kafka.connect.storage.SimpleHeaderConverter;

	class Headers
	{
		public static void main(String[] texts)
		{
			SimpleHeaderConverter converter = new SimpleHeaderConverter();

			converter.configure(Map.of());
			for (String text : texts) {
				SchemaAndValue got = converter.toConnectHeader("t", "h", text.getBytes());
				byte[] again = converter.fromConnectHeader("t", "h", got.schema(), got.value());

				System.out.println(text + " " + got.schema().type() + " " + new String(again));
			}
		}
	}
JAVA
TZ=UTC java -XX:TieredStopAtLevel=1 -cp 'libs/*' Headers.java 007 1.50 1,2 12:30:00 \
	2024-02-30 2024-01-01T00:00:00.000Z 0x1F >seen 2>java.log ||
	give_up "the converter does not run: $(tail -n 3 java.log)"
cat seen
cat >known <<-KNOWN
	007 INT8 7
	1.50 FLOAT32 1.5
	1,2 INT8 1
	12:30:00 INT8 12
	2024-02-30 INT32 2024-03-01
	2024-01-01T00:00:00.000Z INT64 2024-01-01
	0x1F STRING 0x1F
KNOWN
cmp -s seen known || exit 1
