"""avro_consumer.py BOOTSTRAP TOPIC REGISTRY_URL COUNT

What a consumer in Python makes of the events that avro_events.py wrote:
fastavro, and one COPY into the table typed for all of them, which no consumer
that keeps its place could do.  Prints the seconds from the first event until
the commit, and the seconds of CPU that Python used.
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

COPY = "COPY typed (id, user_id, type, amount, ts, note) FROM STDIN"


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
    copy = subprocess.Popen(["psql", "-X", "-q", "-c", COPY],
                            stdin=subprocess.PIPE, text=True)
    while left > 0:
        messages = consumer.consume(10000, 1)
        if not messages:
            continue
        if first is None:
            first = time.monotonic()
            cpu = time.process_time()
        left -= len(messages)
        copy.stdin.write("".join(lines(messages, schemas, client)))
    copy.stdin.close()
    if copy.wait() != 0:
        sys.exit("COPY failed")
    print(time.monotonic() - first, time.process_time() - cpu)
    consumer.close()


if __name__ == "__main__":
    main()
