#!/usr/bin/env python3
"""random_cases.py SEED COUNT [extended]

Random Avro schemas, data that fastavro writes by them, and what the decoder
must make of it, computed from what fastavro reads: lines of schema, data in
hexadecimal and JSON, as COPY reads them.  With "extended", names and types
that not every library takes.
"""
import base64
import datetime
import decimal
import fractions
import io
import json
import math
import random
import struct
import sys
import uuid

import fastavro

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
PLAIN_NAMES = ["id", "name", "createdAt", "amount", "x1", "_y", "value"]
ODD_NAMES = ["order-item", "größe", "a b", 'quo"te', "back\\slash", ""]
STRINGS = ["", "a", "größe", "€ 10", "😀", 'quo"te\\', "tab\tnew\nline", "\x01",
           "x" * 70, "null", "{}", "1e5"]


class Maker:
    def __init__(self, rnd, extended):
        self.rnd = rnd
        self.extended = extended
        self.count = 0
        self.records = []       # names of records that are open or closed

    def name(self):
        self.count += 1
        # inside of a record, a name without a dot gets its namespace
        space = self.rnd.choice(["shop.", "a.b."] if self.records
                                else ["", "shop.", "a.b."])
        return "%sT%d" % (space, self.count)

    def field_names(self, n):
        names = PLAIN_NAMES + (ODD_NAMES[:-1] if self.extended else [])
        names = names + ["f%d" % i for i in range(max(n - len(names), 0))]
        return self.rnd.sample(names, n)

    def scalar(self):
        rnd = self.rnd
        kind = rnd.randrange(24)
        primitives = ["null", "boolean", "int", "long", "float", "double",
                      "bytes", "string", "string", "int"]
        if kind < len(primitives):
            return primitives[kind]
        if kind == 10:
            return {"type": "int", "logicalType": "date"}
        if kind == 11:
            return {"type": "int", "logicalType": "time-millis"}
        if kind == 12:
            return {"type": "long", "logicalType": "time-micros"}
        if kind in (13, 14):
            return {"type": "long", "logicalType": rnd.choice(
                ["timestamp-millis", "timestamp-micros"])}
        if kind == 15:
            return {"type": "long", "logicalType": rnd.choice(
                ["local-timestamp-millis", "local-timestamp-micros"])}
        if kind in (16, 17):
            precision = rnd.choice([1, 4, 18, 19, 38, 64, 200])
            return {"type": "bytes", "logicalType": "decimal",
                    "precision": precision,
                    "scale": rnd.randint(0, precision)}
        if kind == 18:
            precision = rnd.choice([4, 18, 20])
            return {"type": "fixed", "name": self.name(), "size": 16,
                    "logicalType": "decimal", "precision": precision,
                    "scale": rnd.randint(0, precision)}
        if kind == 19:
            return {"type": "string", "logicalType": "uuid"}
        if kind == 20:
            return {"type": "enum", "name": self.name(),
                    "symbols": rnd.sample(["A", "B", "LONG_ONE", "d4"],
                                          rnd.randint(1, 4))}
        if kind == 21:
            return {"type": "fixed", "name": self.name(),
                    "size": rnd.choice([1, 3, 16, 100])}
        if kind == 22:
            return {"type": "fixed", "name": self.name(), "size": 12,
                    "logicalType": "duration"}
        return {"type": "long", "doc": "plain"}

    def schema(self, depth):
        rnd = self.rnd
        kind = rnd.randrange(10)
        if depth <= 0 or kind < 3:
            return self.scalar()
        if kind < 6:
            return self.record(depth)
        if kind == 6:
            return {"type": "array", "items": self.schema(depth - 1)}
        if kind == 7:
            return {"type": "map", "values": self.schema(depth - 1)}
        return self.union(depth)

    def record(self, depth):
        name = self.name()
        self.records.append(name)
        fields = []
        for field in self.field_names(self.rnd.randint(0, 6)):
            if self.rnd.randrange(12) == 0:
                named = [r for r in self.records if "." in r]
                if named:
                    fields.append({"name": field, "type": [
                        "null", self.rnd.choice(named)]})
                    continue
            fields.append({"name": field, "type": self.schema(depth - 1)})
        return {"type": "record", "name": name, "fields": fields}

    def union(self, depth):
        branches = ["null"] if self.rnd.random() < 0.8 else []
        seen = set(branches)
        for _ in range(self.rnd.randint(1, 3)):
            branch = self.schema(depth - 1)
            kinds = {branch_kind(branch)}
            # fastavro writes a decimal into the first branch that takes one,
            # be it too precise for it
            if isinstance(branch, dict) and branch.get("logicalType") == "decimal":
                kinds.add("decimal")
            if isinstance(branch, list) or kinds & seen:
                continue
            seen |= kinds
            branches.append(branch)
        self.rnd.shuffle(branches)
        return branches or ["null"]


def branch_kind(branch):
    if isinstance(branch, str):
        return branch
    if isinstance(branch, dict):
        return branch.get("name", branch["type"])
    return "union"


class Data:
    def __init__(self, rnd):
        self.rnd = rnd
        self.named = {}

    def integer(self, bits):
        n = self.rnd.choice([1, 6, 7, 8, 13, 14, 31, 32, 62, 63])
        value = self.rnd.getrandbits(min(n, bits - 1))
        return -value - 1 if self.rnd.random() < 0.5 else value

    def double(self):
        special = [0.0, -0.0, 1.5, math.nan, math.inf, -math.inf, 1e22, 5e-324]
        if self.rnd.random() < 0.3:
            return self.rnd.choice(special)
        return struct.unpack("<d", self.rnd.randbytes(8))[0]

    def moment(self):
        return EPOCH + datetime.timedelta(
            seconds=self.rnd.randint(-62135596800, 253402300799),
            milliseconds=self.rnd.choice([0, self.rnd.randrange(1000)]))

    def logical(self, schema):
        rnd = self.rnd
        kind = schema.get("logicalType")
        if kind == "date":
            return self.moment().date()
        if kind == "time-millis":
            return datetime.time(rnd.randrange(24), rnd.randrange(60),
                                 rnd.randrange(60), rnd.randrange(1000) * 1000)
        if kind == "time-micros":
            return datetime.time(rnd.randrange(24), rnd.randrange(60),
                                 rnd.randrange(60), rnd.randrange(1000000))
        if kind in ("timestamp-millis", "timestamp-micros"):
            return self.moment()
        if kind and kind.startswith("local-timestamp"):
            return self.moment().replace(tzinfo=None)
        if kind == "decimal":
            digits = rnd.randint(1, schema["precision"])
            value = rnd.randrange(10 ** digits)
            return decimal.Decimal(
                (rnd.randrange(2), tuple(map(int, str(value))),
                 -schema["scale"]))
        if kind == "uuid":
            return uuid.UUID(bytes=rnd.randbytes(16))
        return None

    def datum(self, schema, depth):
        rnd = self.rnd
        if isinstance(schema, list):
            branch = rnd.choice(schema if depth > 0 or "null" not in schema
                                else ["null"])
            value = self.datum(branch, depth - 1)
            if isinstance(branch, dict) and "name" in branch:
                return (branch["name"], value)
            if isinstance(branch, str) and branch in self.named:
                return (branch, value)
            return value
        if isinstance(schema, str) and schema in self.named:
            return self.datum(self.named[schema], depth - 1)
        kind = schema if isinstance(schema, str) else schema["type"]
        if isinstance(schema, dict):
            if "name" in schema:
                self.named[schema["name"]] = schema
            value = self.logical(schema)
            if value is not None:
                return value
        if kind == "null":
            return None
        if kind == "boolean":
            return rnd.random() < 0.5
        if kind == "int":
            return self.integer(32)
        if kind == "long":
            return self.integer(64)
        if kind == "double":
            return self.double()
        if kind == "float":
            value = struct.unpack("<f", rnd.randbytes(4))[0]
            return rnd.choice([value, 0.1, 1e10, -math.inf])
        if kind == "bytes":
            return rnd.randbytes(rnd.choice([0, 1, 2, 3, 63, 64, 300]))
        if kind == "string":
            return rnd.choice(STRINGS)
        if kind == "fixed":
            return rnd.randbytes(schema["size"])
        if kind == "enum":
            return rnd.choice(schema["symbols"])
        size = 0 if depth <= 0 else rnd.choice([0, 1, 2, 3, 70])
        if kind == "array":
            return [self.datum(schema["items"], depth - 1)
                    for _ in range(size)]
        if kind == "map":
            return {"%s%d" % (rnd.choice(STRINGS), i):
                    self.datum(schema["values"], depth - 1)
                    for i in range(size)}
        return {f["name"]: self.datum(f["type"], depth - 1)
                for f in schema["fields"]}


def without_zeros(text):
    return text.rstrip("0").rstrip(".") if "." in text else text


def shortest(value, kind, bits):
    """The fewest digits between the middles to the next values, as PostgreSQL
    prints them; Python also takes a number in the very middle."""
    magnitude = abs(value)
    if magnitude == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    below, above = (struct.unpack("<" + kind, struct.pack(
        "<" + bits, struct.unpack("<" + bits, struct.pack(
            "<" + kind, magnitude))[0] + step))[0] for step in (-1, 1))
    exact = fractions.Fraction(magnitude)
    low = (exact + fractions.Fraction(below)) / 2
    high = (exact + exact - low if math.isinf(above)
            else (exact + fractions.Fraction(above)) / 2)
    for digits in range(1, 18):
        text = "%.*e" % (digits - 1, magnitude)
        if low < fractions.Fraction(text) < high:
            return ("-" if value < 0 else "") + text
    raise ValueError(value)


def shortest_float(value):
    return shortest(value, "f", "I")


def shortest_double(value):
    return shortest(value, "d", "Q")


class Expected:
    """The JSON text of what fastavro read."""

    def __init__(self):
        self.named = {}

    def number(self, value, text):
        if math.isnan(value):
            return '"NaN"'
        if math.isinf(value):
            return '"Infinity"' if value > 0 else '"-Infinity"'
        return text(value)

    def scalar(self, schema, kind, value):
        logical = schema.get("logicalType") if isinstance(schema, dict) else ""
        if logical == "decimal":
            return format(value, "f") if value or schema["scale"] else "0"
        if logical == "duration":
            months, days, ms = struct.unpack("<III", value)
            rest = without_zeros("%d.%03d" % (ms // 1000, ms % 1000))
            return json.dumps("P%dM%dDT%sS" % (months, days, rest))
        if isinstance(value, bytes):
            return json.dumps(base64.b64encode(value).decode())
        if isinstance(value, datetime.datetime):
            local = value.replace(tzinfo=None)
            text = without_zeros(local.isoformat(timespec="microseconds"))
            return json.dumps(text + ("" if logical.startswith("local")
                                      else "Z"))
        if isinstance(value, datetime.date):
            return json.dumps(value.isoformat())
        if isinstance(value, datetime.time):
            return json.dumps(without_zeros(value.isoformat("microseconds")))
        if isinstance(value, uuid.UUID):
            return json.dumps(str(value))
        if kind == "float":
            return self.number(value, shortest_float)
        if kind == "double":
            return self.number(value, shortest_double)
        return json.dumps(value)

    def text(self, schema, value):
        if isinstance(schema, list):
            return self.union(schema, value)
        if isinstance(schema, str) and schema in self.named:
            schema = self.named[schema]
        kind = schema if isinstance(schema, str) else schema["type"]
        if isinstance(schema, dict) and "name" in schema:
            self.named[schema["name"]] = schema
        if kind == "array":
            return "[%s]" % ",".join(self.text(schema["items"], item)
                                     for item in value)
        if kind == "map":
            return "{%s}" % ",".join(
                "%s:%s" % (json.dumps(key), self.text(schema["values"], item))
                for key, item in value.items())
        if kind == "record":
            return "{%s}" % ",".join(
                "%s:%s" % (json.dumps(field["name"]),
                           self.text(field["type"], value[field["name"]]))
                for field in schema["fields"])
        return self.scalar(schema, kind, value)

    def union(self, branches, value):
        """value is (index, value), as read_value writes it."""
        index, value = value
        return self.text(branches[index], value)


class Reader:
    """The structure of the data, for the branches of unions alone; what is
    in the leaves is fastavro's."""

    def __init__(self, data, named):
        self.file = io.BytesIO(data)
        self.named = named

    def integer(self):
        shift = value = 0
        while True:
            byte = self.file.read(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return (value >> 1) ^ -(value & 1)

    def blocks(self):
        while True:
            count = self.integer()
            if count == 0:
                return
            if count < 0:
                self.integer()
            for _ in range(abs(count)):
                yield

    def value(self, schema):
        if isinstance(schema, list):
            index = self.integer()
            return (index, self.value(schema[index]))
        if isinstance(schema, str) and schema in self.named:
            schema = self.named[schema]
        kind = schema if isinstance(schema, str) else schema["type"]
        if isinstance(schema, dict) and "name" in schema:
            self.named[schema["name"]] = schema
        if kind == "array":
            return [self.value(schema["items"]) for _ in self.blocks()]
        if kind == "map":
            return {self.leaf("string"): self.value(schema["values"])
                    for _ in self.blocks()}
        if kind == "record":
            return {field["name"]: self.value(field["type"])
                    for field in schema["fields"]}
        return self.leaf(schema)

    def leaf(self, schema):
        if (isinstance(schema, dict) and
                schema.get("logicalType", "").startswith("time-")):
            # fastavro reads times below 0 as if a day were a circle
            start = self.file.tell()
            if self.integer() < 0:
                raise ValueError("no time of a day")
            self.file.seek(start)
        return fastavro.schemaless_reader(self.file, parsed(schema), None)


PARSED = {}


def parsed(schema):
    key = json.dumps(schema)
    if key not in PARSED:
        PARSED[key] = fastavro.parse_schema(json.loads(key))
    return PARSED[key]


def qualify(schema, names):
    """Collect the named types, as Reader and Expected meet them."""
    if isinstance(schema, list):
        for branch in schema:
            qualify(branch, names)
    elif isinstance(schema, dict):
        if "name" in schema:
            names[schema["name"]] = schema
        for part in ("items", "values"):
            if part in schema:
                qualify(schema[part], names)
        for field in schema.get("fields", []):
            qualify(field["type"], names)
    return names


def expected(schema, data):
    names = qualify(schema, {})
    reader = Reader(data, dict(names))
    value = reader.value(schema)
    if reader.file.read(1) != b"":
        raise ValueError("fastavro did not read all")
    wanted = Expected()
    wanted.named = dict(names)
    return wanted.text(schema, value)


def one_case(rnd, extended):
    schema = Maker(rnd, extended).schema(rnd.choice([0, 1, 3, 4]))
    source = Data(rnd)
    source.named = qualify(schema, {})
    out = io.BytesIO()
    fastavro.schemaless_writer(
        out, fastavro.parse_schema(json.loads(json.dumps(schema))),
        source.datum(schema, 5))
    data = out.getvalue()
    return json.dumps(schema), data.hex(), expected(schema, data)


# What fastavro cannot write, or read as Python's types, is no case.
NO_CASE = (ValueError, OverflowError, TypeError,
           fastavro.schema.SchemaParseException, fastavro.schema.UnknownType)


def line(*columns):
    return "\t".join(column.replace("\\", "\\\\") for column in columns)


def main():
    decimal.getcontext().prec = 1000
    rnd = random.Random(int(sys.argv[1]))
    extended = sys.argv[3:] == ["extended"]
    cases = 0
    for _ in range(10 * int(sys.argv[2])):
        if cases == int(sys.argv[2]):
            return
        try:
            case = one_case(rnd, extended)
        except NO_CASE:
            continue
        print(line(*case))
        cases += 1
    sys.exit("fastavro wrote only %d cases" % cases)


if __name__ == "__main__":
    main()
