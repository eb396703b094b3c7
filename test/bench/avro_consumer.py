"""avro_consumer.py BOOTSTRAP TOPIC REGISTRY_URL COUNT

What a consumer in Python makes of the events that avro_events.py wrote: of
each 1000, fastavro and COPY into the table typed, then its place in the topic.
Prints the seconds from the first event until the last commit, and the seconds
of CPU that Python used.
"""
import io
import json
import struct
import subprocess
import sys
import time

import fastavro
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient

COPY = "COPY typed (id, user_id, type, amount, ts, note) FROM STDIN;\n"
BATCH = 1000


def escape(text):
    if text is None:
        return "\\N"
    if "\\" in text or "\t" in text or "\n" in text or "\r" in text:
        for old, new in ("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), (
                "\r", "\\r"):
            text = text.replace(old, new)
    return text


def lines(messages, schemas, client):
    for message in messages:
        data = message.value()
        number = struct.unpack(">I", data[1:5])[0]
        if number not in schemas:
            schemas[number] = fastavro.parse_schema(
                json.loads(client.get_schema(number).schema_str))
        row = fastavro.schemaless_reader(io.BytesIO(data[5:]),
                                         schemas[number], None)
        yield "%d\t%d\t%s\t%s\t%s\t%s\n" % (
            row["id"], row["user_id"], escape(row["type"]), row["amount"],
            row["ts"].isoformat(), escape(row["note"]))


def main():
    bootstrap, topic, url, count = sys.argv[1:]
    client = SchemaRegistryClient({"url": url})
    consumer = Consumer({"bootstrap.servers": bootstrap,
                         "group.id": "avro_consumer-%d" % time.time_ns(),
                         "auto.offset.reset": "earliest",
                         "enable.auto.commit": False})
    consumer.subscribe([topic])
    schemas = {}
    left = int(count)
    first = None
    psql = subprocess.Popen(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True)
    while left > 0:
        messages = consumer.consume(min(BATCH, left), 1)
        if not messages:
            continue
        if first is None:
            first = time.monotonic()
            cpu = time.process_time()
        left -= len(messages)
        psql.stdin.write(COPY + "".join(lines(messages, schemas, client)) +
                         "\\.\n\\echo committed\n")
        psql.stdin.flush()
        if psql.stdout.readline() != "committed\n":
            sys.exit("COPY failed")
        consumer.commit(asynchronous=True)
    print(time.monotonic() - first, time.process_time() - cpu)
    psql.stdin.close()
    consumer.close()


if __name__ == "__main__":
    main()
