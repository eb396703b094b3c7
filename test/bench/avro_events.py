"""avro_events.py BOOTSTRAP TOPIC REGISTRY_URL < events

Write the events that the script events makes, lines of JSON, to a topic as
Avro behind a schema registry: a confluent framing, typed fields.
"""
import datetime
import json
import struct
import sys

from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

SCHEMA = {"type": "record", "name": "event", "fields": [
    {"name": "id", "type": "long"},
    {"name": "user_id", "type": "long"},
    {"name": "type", "type": "string"},
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal",
                                "precision": 12, "scale": 2}},
    {"name": "ts", "type": {"type": "long",
                            "logicalType": "timestamp-micros"}},
    {"name": "note", "type": ["null", "string"]}]}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)


def varint(value):
    value = value * 2 if value >= 0 else -value * 2 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def sized(data):
    return varint(len(data)) + data


def encode(event):
    cents = round(event["amount"] * 100)
    moment = datetime.datetime.fromisoformat(event["ts"].replace("Z", "+00:00"))
    return b"".join((
        varint(event["id"]), varint(event["user_id"]),
        sized(event["type"].encode()),
        sized(cents.to_bytes(cents.bit_length() // 8 + 1, "big")),
        varint((moment - EPOCH) // MICROSECOND),
        varint(1), sized(event["note"].encode())))


def main():
    bootstrap, topic, url = sys.argv[1:]
    client = SchemaRegistryClient({"url": url})
    number = client.register_schema(topic + "-value",
                                    Schema(json.dumps(SCHEMA), "AVRO"))
    prefix = struct.pack(">bI", 0, number)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 500,
                         "compression.codec": "lz4",
                         "queue.buffering.max.messages": 100000})
    for line in sys.stdin:
        while True:
            try:
                producer.produce(topic, prefix + encode(json.loads(line)))
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(60) > 0:
        sys.exit("Kafka did not take all events")


if __name__ == "__main__":
    main()
