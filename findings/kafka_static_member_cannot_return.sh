#!/bin/bash
# A static member (group.instance.id) that died cannot come back at once with
# the new group protocol (KIP-848, group.protocol=consumer), though to come back
# is what static members are for.  With the classic protocol a new process with
# the same group.instance.id takes over at once; with the new one it is told
# that the name is still used, which librdkafka makes a fatal error: that
# consumer never reads.  It stays so until the broker has missed the dead member
# for group.consumer.session.timeout.ms, 45 s, and two living processes with one
# name are no longer sorted out in favour of the newer.
#
# Seen with Apache Kafka 4.3.1 and librdkafka 2.16.0 (PyPI confluent-kafka
# 2.16.1): a member is ended by SIGKILL and started again.
#   classic: first assigned, second assigned
#   consumer: first assigned, second _FATAL (instance ID is still used)
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

python3 -m venv venv
venv/bin/pip -q install confluent-kafka==2.16.1 2>/dev/null ||
	give_up "no confluent-kafka 2.16.1"
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
	      <artifactId>kafka_2.13</artifactId>
	      <version>4.3.1</version>
	    </dependency>
	  </dependencies>
	</project>
XML
mvn -q -B dependency:copy-dependencies -DoutputDirectory=libs >maven.log 2>&1 </dev/null ||
	give_up "no Apache Kafka 4.3.1"

read -r port controller < <(python3 -c 'import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*[each.getsockname()[1] for each in sockets])')
cat >broker.properties <<-PROPERTIES
	process.roles=broker,controller
	node.id=1
	controller.quorum.voters=1@127.0.0.1:$controller
	listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
	controller.listener.names=CONTROLLER
	log.dirs=$work/log
	group.initial.rebalance.delay.ms=0
	offsets.topic.replication.factor=1
	offsets.topic.num.partitions=1
	transaction.state.log.replication.factor=1
	transaction.state.log.min.isr=1
	transaction.state.log.num.partitions=1
	log.cleaner.dedupe.buffer.size=16777216
PROPERTIES
java -XX:TieredStopAtLevel=1 -cp 'libs/*' kafka.tools.StorageTool format \
	-t AAAAAAAAAAAAAAAAAAAAAA -c broker.properties >format.log 2>&1 ||
	give_up "cannot format: $(tail -n 3 format.log)"
java -Xmx384m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp 'libs/*' kafka.Kafka \
	broker.properties >broker.log 2>&1 &
cat >ready.py <<-'PYTHON'
	import sys
	from confluent_kafka.admin import AdminClient, NewTopic
	admin = AdminClient({'bootstrap.servers': sys.argv[1], 'log_level': 0})
	admin.create_topics([NewTopic('t', 1, 1)], operation_timeout=30)['t'].result(60)
PYTHON
venv/bin/python ready.py "127.0.0.1:$port" 2>ready.log ||
	give_up "Kafka does not start: $(tail -n 1 ready.log; tail -n 3 broker.log)"

# ends with 3 if it may not read
cat >member.py <<-'PYTHON'
	import sys
	from confluent_kafka import Consumer
	broker, protocol, wait = sys.argv[1:]

	def tell(_, partitions):
	    print('assigned', len(partitions), flush=True)
	    if not int(wait):
	        sys.exit(0)

	consumer = Consumer({'bootstrap.servers': broker, 'group.id': protocol,
	                     'group.protocol': protocol, 'group.instance.id': 'one',
	                     'log_level': 0})
	consumer.subscribe(['t'], on_assign=tell)
	while True:
	    message = consumer.poll(60)
	    if message is not None and message.error():
	        print(message.error().name(), message.error().str(), flush=True)
	        if message.error().name() == '_FATAL':
	            sys.exit(3)
PYTHON

# assigned FILE: wait until the member that writes there has its partition
assigned()
{
	for _ in $(seq 600); do
		! grep -q '^assigned 1' "$1" || return 0
		sleep 0.1
	done
	return 1
}

for protocol in classic consumer; do
	venv/bin/python member.py "127.0.0.1:$port" $protocol 1 >first 2>first.log &
	member=$!
	assigned first || give_up "$protocol: the first member gets nothing: $(cat first first.log)"
	kill -KILL $member
	wait $member 2>/dev/null || true
	timeout 60 venv/bin/python member.py "127.0.0.1:$port" $protocol 0 >second 2>second.log || true
	echo "$protocol: first $(head -n 1 first), second $(head -n 1 second)"
	cp second $protocol
done
grep -q '^assigned 1' classic || exit 1
grep -q '^_FATAL .*instance ID is still used' consumer || exit 1
