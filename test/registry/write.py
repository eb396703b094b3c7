"""Write to topics as programs with a schema registry do.

write.py BOOTSTRAP REGISTRY_URL < orders

Each line of the input is an order, an object:

  topic, partition (0)
  schema        of the values: JSON text (a number: see id)
  type          AVRO (the default) or JSON
  key_schema    of the keys, AVRO; without it keys are text
  references    [{"name", "subject", "version"}] of schema
  id            do not register; values are bytes behind this id
  config        of the serializer
  headers       [[name, text]]
  records       [{"key", "value"}]; a value of null is a tombstone.  With id,
                value is hexadecimal.  {"$bytes": hex}, {"$decimal": text} and
                {"$timestamp": ISO text} stand for what JSON has not.

Prints the id of the schema that each order's values were written with.
"""
import datetime
import decimal
import json
import struct
import sys

from confluent_kafka import Producer
from confluent_kafka.schema_registry import (Schema, SchemaReference,
                                             SchemaRegistryClient)
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import (MessageField,
                                           SerializationContext)


def revive(value):
    if isinstance(value, list):
        return [revive(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "$bytes" in value:
        return bytes.fromhex(value["$bytes"])
    if "$decimal" in value:
        return decimal.Decimal(value["$decimal"])
    if "$timestamp" in value:
        return datetime.datetime.fromisoformat(value["$timestamp"])
    return {name: revive(one) for name, one in value.items()}


def make_serializer(client, order):
    if "id" in order:
        prefix = struct.pack(">bI", 0, order["id"])
        return lambda value, context: prefix + bytes.fromhex(value)
    references = [SchemaReference(**one)
                  for one in order.get("references", [])]
    kind = order.get("type", "AVRO")
    schema = Schema(order["schema"], kind, references)
    config = order.get("config", {})
    if kind == "JSON":
        return JSONSerializer(schema, client, conf=config)
    return AvroSerializer(client, schema, conf=config)


def write(producer, client, order):
    topic = order["topic"]
    value_serializer = make_serializer(client, order)
    key_serializer = None
    if "key_schema" in order:
        key_serializer = AvroSerializer(client, order["key_schema"])
    schema_id = order.get("id", 0)
    for record in order["records"]:
        headers = [(name, text) for name, text in order.get("headers", [])]
        key, value = record.get("key"), record.get("value")
        if key_serializer is not None and key is not None:
            key = key_serializer(revive(key), SerializationContext(
                topic, MessageField.KEY, headers))
        if value is not None:
            value = value_serializer(revive(value), SerializationContext(
                topic, MessageField.VALUE, headers))
            if len(value) >= 5 and value[0] == 0:
                schema_id = struct.unpack(">I", value[1:5])[0]
        producer.produce(topic, key=key, value=value, headers=headers,
                         partition=order.get("partition", 0))
    producer.flush()
    print(schema_id, flush=True)


def main():
    producer = Producer({"bootstrap.servers": sys.argv[1],
                         "message.max.bytes": 10000000})
    client = SchemaRegistryClient({"url": sys.argv[2]})
    for line in sys.stdin:
        write(producer, client, json.loads(line))


main()
