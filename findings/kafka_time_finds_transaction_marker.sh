#!/bin/bash
# A topic of transactions answers a question for a time with the offset of a
# commit marker, which no consumer can see (Apache Kafka 4.3.1).  The marker has
# the broker's time, not that of the transaction's messages.  When these carry
# the times of their events, as in a backfill, "from this time on" begins at
# the first marker and brings messages that are older than the time asked for,
# where the same messages without transactions bring none.  The offset of the
# largest timestamp (the question -3) is a marker's, too: there is no message.
#
# Seen with librdkafka 2.16.0 (PyPI confluent-kafka 2.16.1): two messages of an
# hour ago, each in a transaction of its own, and offsets_for_times():
#   plain: since a minute ago from -1, no message; largest timestamp at 1, a message
#   transactions: since a minute ago from 1, a message 60 minutes old is at 2;
#     largest timestamp at 3, no message
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

cat >ask.py <<-'PYTHON'
	import sys, time
	from confluent_kafka import Consumer, Producer, TopicPartition
	broker = {'bootstrap.servers': sys.argv[1]}
	now = int(time.time() * 1000)
	hour, minute = 3600000, 60000

	# next_message OFFSET: what a consumer gets from there, None at the end
	def next_message(topic, offset):
	    consumer.assign([TopicPartition(topic, 0, offset)])
	    message = consumer.poll(30)
	    return None if message.error() else message

	def ask(topic, timestamp):
	    return consumer.offsets_for_times([TopicPartition(topic, 0, timestamp)], timeout=30)[0].offset

	for topic, settings in [('plain', {}), ('transactions', {'transactional.id': 'one'})]:
	    producer = Producer(broker | settings | {'log_level': 0})
	    if settings:
	        producer.init_transactions(60)
	    for number in range(2):
	        if settings:
	            producer.begin_transaction()
	        producer.produce(topic, b'event', timestamp=now - hour + number)
	        if settings:
	            producer.commit_transaction(60)
	        producer.flush(60)
	    consumer = Consumer(broker | {'group.id': 'g', 'enable.partition.eof': True})
	    offset = ask(topic, now - minute)
	    found = next_message(topic, offset) if offset >= 0 else None
	    age = 'no message' if found is None else f'a message {round((now - found.timestamp()[1]) / minute)} minutes old'
	    where = '' if found is None else f' is at {found.offset()}'
	    largest = ask(topic, -3)
	    print(f'{topic}: since a minute ago from {offset}, {age}{where};',
	          f'largest timestamp at {largest},',
	          'no message' if next_message(topic, largest) is None else 'a message')
	    consumer.close()
PYTHON
venv/bin/python ask.py "127.0.0.1:$port" >seen 2>ask.log ||
	give_up "no answers: $(tail -n 3 ask.log)"
cat seen
cat >known <<-KNOWN
	plain: since a minute ago from -1, no message; largest timestamp at 1, a message
	transactions: since a minute ago from 1, a message 60 minutes old is at 2; largest timestamp at 3, no message
KNOWN
cmp -s seen known || exit 1
