/*
 * avro_decode.h
 *	  Bytes that an Avro schema wrote into nodes, as if they were JSON.
 *
 * null, true, false, record, map and array become what they are in JSON, an
 * enum its symbol, a union its branch's value.  The rest:
 *
 *	int, long				number
 *	float, double			number; strings "NaN", "Infinity", "-Infinity"
 *	string					string; 22021 where it is not UTF-8 or holds a NUL
 *	bytes, fixed			string: base64, with the bytes themselves beside it
 *	decimal					number, with all its decimals
 *	date					"2024-02-29"
 *	time-*					"12:30:00.5"; "-01:00:00" and "25:00:00" where the
 *							time is none of a day
 *	timestamp-*				"2024-02-29T12:30:00.5Z"
 *	local-timestamp-*		"2024-02-29T12:30:00.5"
 *	uuid					string, of a string or fixed(16)
 *	duration				"P14M3DT4.005S"
 *
 * A year before Christ is written as PostgreSQL reads it ("0044-03-15 BC"); a
 * date or timestamp that PostgreSQL cannot hold raises 22008. By connect.name:
 *
 *	org.apache.kafka.connect.data.{Decimal,Date,Time,Timestamp}
 *							as decimal, date, time-millis, timestamp-millis
 *	io.debezium.time.Date, Time, MicroTime, NanoTime
 *							as date, time-*
 *	io.debezium.time.Timestamp, MicroTimestamp, NanoTimestamp
 *							as local-timestamp-*
 *	... of these, what Debezium writes for infinity
 *							"infinity", "-infinity"
 *	io.debezium.time.MicroDuration, NanoDuration
 *							"PT5.5S"
 *	io.debezium.time.IsoDate, IsoTimestamp, ZonedTimestamp
 *							years before 1 and after 9999, and infinity, as
 *							PostgreSQL reads them
 *	io.debezium.data.Bits	"0101"
 *	io.debezium.data.Json	the JSON in it; what is none remains a string
 *	io.debezium.data.VariableScaleDecimal
 *							number
 *	io.debezium.data.geometry.Point
 *							"(1,2)"
 *	io.debezium.data.geometry.{Geometry,Geography}
 *							hexadecimal EWKB, as PostGIS reads it
 */
#ifndef KE_AVRO_DECODE_H
#define KE_AVRO_DECODE_H

#include "convert/avro_schema.h"
#include "convert/json_scan.h"

/*
 * A value whose schema is nothing but "bytes" has no length before them, as
 * Confluent's serializers write it.
 */
#define KE_AVRO_BARE 1

/*
 * Numbers, dates and bytes get no text before ke_json_nodes_print gives them
 * one.  ke_convert_json, ke_jsonb_build and ke_json_write see to that; who
 * else reads the text of nodes must not have them so.
 */
#define KE_AVRO_LAZY 2

/*
 * Decode one value, framing taken off, into json, which ke_json_scan_init
 * made; the root is node 0.  Nodes point into bytes and schema: both must
 * outlive them.
 *
 * wanted, of a schema that has a shape: for each field whether it becomes
 * nodes; NULL: all do.  The others are passed over, and only read as far as
 * that needs.
 *
 * Raises 22P03 for bytes that the schema did not write, 22021 and 22008 as
 * above, 54001 for too deep a nesting and 54000 for too many values.  Every
 * length and count is checked against the bytes that are left before anything
 * is made of it.  Errors tell the byte and the field, never what is there.
 */
extern void ke_avro_decode(const KeAvroSchema *schema, const char *bytes,
						   int32 len, int flags, const bool *wanted,
						   KeJson *json);

#endif							/* KE_AVRO_DECODE_H */
