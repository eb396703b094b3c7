/*
 * WriteEvents.java
 * Lets the CloudEvents SDK write a few events, as an application has it.
 *
 *   WriteEvents BROKER TOPIC STRUCTURED | BINARY
 */
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.util.HashMap;
import java.util.Map;

import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.message.Encoding;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.kafka.CloudEventSerializer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class WriteEvents
{
	static CloudEventBuilder event(String id)
	{
		return CloudEventBuilder.v1().withId(id)
			.withSource(URI.create("/shop")).withType("paid");
	}

	static byte[] bytes(String text)
	{
		return text.getBytes(StandardCharsets.UTF_8);
	}

	static CloudEvent[] events()
	{
		return new CloudEvent[] {
			event("object")
				.withTime(OffsetDateTime.parse("2024-02-29T12:34:56.789012+02:00"))
				.withSubject("order ü").withExtension("flag", true)
				.withExtension("pieces", 3).withExtension("traceid", "a b%")
				.withData("application/json",
					bytes("{\"amount\": 12.50, \"name\": \"ü\"}")).build(),
			event("list").withData("application/vnd.shop+json; charset=utf-8",
				bytes("[1, 2.50]")).build(),
			event("untyped").withData(bytes("{\"amount\": 1}")).build(),
			event("text").withData("text/plain", bytes("no {json}")).build(),
			event("bytes").withData("application/octet-stream",
				new byte[] {0, (byte) 0xff, 16}).build(),
			event("empty").build()
		};
	}

	public static void main(String[] args)
	{
		Map<String, Object> properties = new HashMap<>();

		properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
		properties.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG,
			StringSerializer.class);
		properties.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG,
			CloudEventSerializer.class);
		properties.put(CloudEventSerializer.ENCODING_CONFIG,
			Encoding.valueOf(args[2]));
		properties.put(CloudEventSerializer.EVENT_FORMAT_CONFIG,
			JsonFormat.CONTENT_TYPE);
		try (KafkaProducer<String, CloudEvent> producer =
				new KafkaProducer<>(properties)) {
			for (CloudEvent event : events())
				producer.send(new ProducerRecord<>(args[1], event.getId(),
					event));
		}
	}
}
