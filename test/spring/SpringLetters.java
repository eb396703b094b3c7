/*
 * SpringLetters.java
 * Lets Spring Kafka, as an application has it, write real dead letters.
 *
 *   SpringLetters dead BROKER TOPIC ...   the recoverer gets every message of
 *                                         the topics, one topic after the other
 *   SpringLetters retry BROKER TOPIC N    a listener with retry topics fails
 *                                         on N messages until all are dead
 *
 * Every topic, and what Spring appends to its name, must exist.
 */
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.BackOff;
import org.springframework.kafka.annotation.DltHandler;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.annotation.RetryableTopic;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.ListenerExecutionFailedException;
import org.springframework.kafka.retrytopic.RetryTopicConfigurationSupport;
import org.springframework.scheduling.TaskScheduler;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;

public class SpringLetters
{
	static String broker;
	static CountDownLatch dead;

	static Map<String, Object> consumerProperties()
	{
		Map<String, Object> properties = new HashMap<>();

		properties.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
		properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
		properties.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG,
			ByteArrayDeserializer.class);
		properties.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG,
			ByteArrayDeserializer.class);
		return properties;
	}

	static KafkaTemplate<byte[], byte[]> makeTemplate()
	{
		Map<String, Object> properties = new HashMap<>();

		properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
		properties.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG,
			ByteArraySerializer.class);
		properties.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG,
			ByteArraySerializer.class);
		return new KafkaTemplate<>(
			new DefaultKafkaProducerFactory<byte[], byte[]>(properties));
	}

	/* Everything in a topic. */
	static List<ConsumerRecord<byte[], byte[]>> read(String topic)
	{
		List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();

		try (KafkaConsumer<byte[], byte[]> consumer =
				new KafkaConsumer<>(consumerProperties())) {
			List<TopicPartition> partitions = new ArrayList<>();

			for (PartitionInfo info : consumer.partitionsFor(topic))
				partitions.add(new TopicPartition(topic, info.partition()));
			consumer.assign(partitions);
			consumer.seekToBeginning(partitions);
			long count = 0;

			for (long end : consumer.endOffsets(partitions).values())
				count += end;
			while (records.size() < count)
				for (ConsumerRecord<byte[], byte[]> record
						: consumer.poll(Duration.ofSeconds(1)))
					records.add(record);
		}
		return records;
	}

	static void bury(String topic)
	{
		DeadLetterPublishingRecoverer recoverer =
			new DeadLetterPublishingRecoverer(makeTemplate());

		for (ConsumerRecord<byte[], byte[]> record : read(topic))
			recoverer.accept(record,
				new ListenerExecutionFailedException("Listener failed",
					"spring-group",
					new IllegalStateException("no stock of ß")));
	}

	@Configuration
	@EnableKafka
	public static class Application extends RetryTopicConfigurationSupport
	{
		@Bean
		KafkaTemplate<byte[], byte[]> defaultRetryTopicKafkaTemplate()
		{
			return makeTemplate();
		}

		@Bean
		TaskScheduler scheduler()
		{
			return new ThreadPoolTaskScheduler();
		}

		@Bean
		ConcurrentKafkaListenerContainerFactory<byte[], byte[]>
			kafkaListenerContainerFactory()
		{
			ConcurrentKafkaListenerContainerFactory<byte[], byte[]> factory =
				new ConcurrentKafkaListenerContainerFactory<>();

			factory.setConsumerFactory(new DefaultKafkaConsumerFactory<>(
				consumerProperties()));
			return factory;
		}

		@RetryableTopic(attempts = "3", backOff = @BackOff(delay = 100),
			autoCreateTopics = "false")
		@KafkaListener(id = "spring-group", topics = "${topic}")
		void listen(ConsumerRecord<byte[], byte[]> record)
		{
			throw new IllegalStateException("no stock of ß");
		}

		@DltHandler
		void count(ConsumerRecord<byte[], byte[]> record)
		{
			dead.countDown();
		}
	}

	static void runListener(String topic, int count) throws Exception
	{
		System.setProperty("topic", topic);
		dead = new CountDownLatch(count);
		try (AnnotationConfigApplicationContext context =
				new AnnotationConfigApplicationContext(Application.class)) {
			if (!dead.await(100, TimeUnit.SECONDS))
				throw new IllegalStateException("not all died");
		}
	}

	public static void main(String[] arguments) throws Exception
	{
		broker = arguments[1];
		if (arguments[0].equals("retry"))
			runListener(arguments[2], Integer.parseInt(arguments[3]));
		else
			for (int i = 2; i < arguments.length; i++)
				bury(arguments[i]);
		System.exit(0);
	}
}
