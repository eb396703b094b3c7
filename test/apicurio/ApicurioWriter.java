/*
 * ApicurioWriter.java
 * Writes Avro with Apicurio's own serializer, configured in every way that
 * changes where a message says which schema it has.
 *
 *   ApicurioWriter BROKER REGISTRY-URL PREFIX
 *
 * Each way has a topic of its own, PREFIX and the way's name, which must
 * exist.  Its message is {"id": n, "name": the way's name, "price": n.50}, its
 * key {"id": n}, where n counts the ways from 1.
 */
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

public class ApicurioWriter
{
	static final Schema KEY = new Schema.Parser().parse(
		"{\"type\":\"record\",\"name\":\"Key\",\"fields\":["
			+ "{\"name\":\"id\",\"type\":\"int\"}]}");
	static final Schema VALUE = new Schema.Parser().parse(
		"{\"type\":\"record\",\"name\":\"Item\",\"fields\":["
			+ "{\"name\":\"id\",\"type\":\"int\"},"
			+ "{\"name\":\"name\",\"type\":\"string\"},"
			+ "{\"name\":\"price\",\"type\":{\"type\":\"bytes\","
			+ "\"logicalType\":\"decimal\",\"precision\":6,\"scale\":2}}]}");

	static Map<String, String[]> ways()
	{
		Map<String, String[]> ways = new LinkedHashMap<>();

		ways.put("headers", new String[] {"headers.enabled", "true"});
		ways.put("headers_content", new String[] {"headers.enabled", "true",
			"use-id", "contentId"});
		ways.put("json", new String[] {"headers.enabled", "true",
			"avro.encoding", "JSON"});
		ways.put("eight", new String[] {"headers.enabled", "false"});
		ways.put("eight_content", new String[] {"headers.enabled", "false",
			"use-id", "contentId"});
		ways.put("four", new String[] {"headers.enabled", "false",
			"as-confluent", "true"});
		ways.put("four_content", new String[] {"headers.enabled", "false",
			"as-confluent", "true", "use-id", "contentId"});
		return ways;
	}

	static Map<String, Object> properties(String broker, String url,
		String[] way)
	{
		Map<String, Object> properties = new LinkedHashMap<>();

		properties.put("bootstrap.servers", broker);
		properties.put("key.serializer", AvroKafkaSerializer.class.getName());
		properties.put("value.serializer",
			AvroKafkaSerializer.class.getName());
		properties.put("apicurio.registry.url", url);
		properties.put("apicurio.registry.auto-register", "true");
		for (int i = 0; i < way.length; i += 2)
			properties.put("apicurio.registry." + way[i], way[i + 1]);
		return properties;
	}

	public static void main(String[] arguments) throws Exception
	{
		int n = 0;

		for (Map.Entry<String, String[]> way : ways().entrySet())
		{
			GenericRecord key = new GenericData.Record(KEY);
			GenericRecord value = new GenericData.Record(VALUE);
			BigDecimal price = new BigDecimal(++n + ".50");

			key.put("id", n);
			value.put("id", n);
			value.put("name", way.getKey());
			value.put("price",
				ByteBuffer.wrap(price.unscaledValue().toByteArray()));
			try (KafkaProducer<Object, Object> producer = new KafkaProducer<>(
				properties(arguments[0], arguments[1], way.getValue())))
			{
				producer.send(new ProducerRecord<>(
					arguments[2] + way.getKey(), 0, key, value)).get();
			}
		}
	}
}
