/*
 * client.c
 *	  Which library is loaded, and what its errors mean to an administrator.
 */
#include "postgres.h"
#include "core/compat.h"

#include "kafka/client.h"
#include "kafka/library.h"

/*
 * What we need at least, and what must not run: 2.1.0 drops members that
 * poll, and has segmentation faults; 2.10.0 writes to freed memory while no
 * broker is connected.
 */
#define OLDEST_LIBRARY	0x020002ff

/* Before, a group with more members than partitions may never settle. */
#define LIBRARY_WITH_SPARE_MEMBERS 0x020601ff

/* Before, the broker of Kafka 4 refuses its SCRAM messages. */
#define LIBRARY_WITH_SCRAM 0x020601ff

/* Before, KIP-848 is a preview, or unknown. */
#define LIBRARY_WITH_CONSUMER_PROTOCOL 0x020c0000

static bool
must_not_run(int version)
{
	/* The lowest byte tells release candidates from releases. */
	int			release = version & ~0xff;

	return version < OLDEST_LIBRARY ||
		release == 0x02010000 || release == 0x020a0000;
}

int
ke_client_library_version(void)
{
	return rd_kafka_version();
}

const char *
ke_client_library_name(void)
{
	return rd_kafka_version_str();
}

bool
ke_client_can_log_in(const char *mechanism)
{
	return mechanism == NULL || strncmp(mechanism, "SCRAM", 5) != 0 ||
		rd_kafka_version() >= LIBRARY_WITH_SCRAM;
}

bool
ke_client_has_oidc(void)
{
	static int	known = -1;

	if (known < 0)
	{
		rd_kafka_conf_t *conf = rd_kafka_conf_new();

		known = rd_kafka_conf_set(conf, "sasl.oauthbearer.method", "oidc",
								  NULL, 0) == RD_KAFKA_CONF_OK;
		rd_kafka_conf_destroy(conf);
	}
	return known > 0;
}

bool
ke_client_has_consumer_protocol(void)
{
	return rd_kafka_version() >= LIBRARY_WITH_CONSUMER_PROTOCOL;
}

bool
ke_client_takes_spare_members(void)
{
	return rd_kafka_version() >= LIBRARY_WITH_SPARE_MEMBERS;
}

void
ke_client_check_library(void)
{
	if (must_not_run(rd_kafka_version()))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("librdkafka %s cannot be used",
						rd_kafka_version_str()),
				 errhint("Install librdkafka 2.0.2 or later, but neither 2.1.0 nor 2.10.0.")));
}

/* What we tell apart; NULL for the library's own errors. */
static const char *
own_name(int error)
{
	switch ((KeClientError) error)
	{
		case KE_CLIENT_BROKER_EXPIRED:
			return "the broker's certificate has expired";
		case KE_CLIENT_BROKER_NOT_YET_VALID:
			return "the broker's certificate is not valid yet";
		case KE_CLIENT_BROKER_OTHER_HOST:
			return "the broker's certificate is for another host name";
		case KE_CLIENT_BROKER_OTHER_CA:
			return "the broker's certificate is not signed by a trusted authority";
		case KE_CLIENT_BROKER_UNTRUSTED:
			return "the broker's certificate could not be verified";
		case KE_CLIENT_CERTIFICATE_MISSING:
			return "the broker wants a client certificate, and the user mapping has none";
		case KE_CLIENT_CERTIFICATE_EXPIRED:
			return "the broker refuses the client certificate, which has expired";
		case KE_CLIENT_CERTIFICATE_REFUSED:
			return "the broker refuses the client certificate";
		case KE_CLIENT_NO_TLS:
			return "the listener does not speak TLS";
		case KE_CLIENT_OLD_FOR_SCRAM:
			return "SASL authentication by SCRAM failed";
		case KE_CLIENT_NO_TOKEN:
			return "the token endpoint gave no token";
		case KE_CLIENT_TOKEN_REFUSED:
			return "the broker refuses the token";
		case KE_CLIENT_NO_CONSUMER_PROTOCOL:
			return "the brokers do not offer group_protocol consumer";
		case KE_CLIENT_ADVERTISED:
			return "a broker cannot be reached at the address that it advertises";
	}
	return NULL;
}

const char *
ke_client_error_name(int error)
{
	const char *own = own_name(error);

	return own != NULL ? own :
		rd_kafka_err2str((rd_kafka_resp_err_t) error);
}

static const char *
own_hint(int error)
{
	switch ((KeClientError) error)
	{
		case KE_CLIENT_BROKER_EXPIRED:
			return "Give the broker a new certificate; nothing is wrong with the options of the server.";
		case KE_CLIENT_BROKER_NOT_YET_VALID:
			return "Compare the clocks of this machine and of the broker, and the certificate's first day.";
		case KE_CLIENT_BROKER_OTHER_HOST:
			return "The names in \"bootstrap_servers\", and those that the brokers advertise, must be among the names in their certificates (subjectAltName).";
		case KE_CLIENT_BROKER_OTHER_CA:
			return "Set \"ssl_ca_pem\" or \"ssl_ca_file\" to the certificate of the authority that signed the broker's; without them those of the operating system are trusted.";
		case KE_CLIENT_BROKER_UNTRUSTED:
			return "Check \"ssl_ca_pem\" or \"ssl_ca_file\", and the broker's certificate.";
		case KE_CLIENT_CERTIFICATE_MISSING:
			return "Set \"ssl_certificate_pem\" and \"ssl_key_pem\" in the user mapping of the server's owner.";
		case KE_CLIENT_CERTIFICATE_EXPIRED:
			return "Set \"ssl_certificate_pem\" and \"ssl_key_pem\" in the user mapping to a new certificate and its key.";
		case KE_CLIENT_CERTIFICATE_REFUSED:
			return "The authority that signed \"ssl_certificate_pem\" of the user mapping must be among those the broker trusts (its ssl.truststore), followed in the PEM text by those between; the certificate must not be revoked.";
		case KE_CLIENT_NO_TLS:
			return "Check the port in \"bootstrap_servers\", and \"security_protocol\".";
		case KE_CLIENT_OLD_FOR_SCRAM:
			return "With Kafka 4 or later, install librdkafka 2.6.1 or later: an older one cannot log in to it by SCRAM. With Kafka 3, check username and password in the user mapping.";
		case KE_CLIENT_NO_TOKEN:
			return "Check \"oidc_token_endpoint\", \"oidc_client_id\", \"oidc_client_secret\", \"oidc_scope\" and, with https, \"oidc_ca_pem\" in the user mapping, and the clock of this machine.";
		case KE_CLIENT_TOKEN_REFUSED:
			return "The brokers must trust who signs the tokens (sasl.oauthbearer.jwks.endpoint.url), and expect their issuer and audience (sasl.oauthbearer.expected.issuer, .expected.audience); compare with what \"oidc_token_endpoint\" gives, and the clocks.";
		case KE_CLIENT_NO_CONSUMER_PROTOCOL:
			return "It takes Kafka 4.0 or later, with \"consumer\" in the brokers' group.coordinator.rebalance.protocols. Else set the server option \"group_protocol\" to classic.";
		case KE_CLIENT_ADVERTISED:
			return "Check that the brokers run, and that the addresses in their advertised.listeners can be reached from the database server.";
	}
	return NULL;
}

/* Which right is missing; NULL for other errors. */
static const char *
right_hint(KeClientPurpose purpose, int error)
{
	switch (error)
	{
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
			switch (purpose)
			{
				case KE_PURPOSE_READ:
					return "The Kafka user needs Read on the topic.";
				case KE_PURPOSE_WRITE:
					return "The Kafka user needs Write on the topic.";
				case KE_PURPOSE_CREATE:
					return "The Kafka user needs Create on the topic, or on the cluster.";
				case KE_PURPOSE_DESCRIBE_CONFIGS:
					return "The Kafka user needs DescribeConfigs on the topic.";
			}
			break;
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
			if (purpose == KE_PURPOSE_CREATE)
				return "The Kafka user needs Create on the topic, or on the cluster.";
			return "The Kafka user needs IdempotentWrite on the cluster; from Kafka 3.0 on, Write on any topic will do.";
		case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
			return "The Kafka user needs Read on the consumer group.";
		case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
			return "The Kafka user needs Write and Describe on the transactional id (kafka-acls: --transactional-id).";
		default:
			break;
	}
	return NULL;
}

const char *
ke_client_error_hint(int error)
{
	return ke_client_hint_for(KE_PURPOSE_READ, error);
}

const char *
ke_client_hint_for(KeClientPurpose purpose, int error)
{
	const char *right = right_hint(purpose, error);

	if (right != NULL)
		return right;
	switch (error)
	{
		case RD_KAFKA_RESP_ERR__RESOLVE:
			return "Check the host names in the server option \"bootstrap_servers\", and the names the brokers advertise.";
		case RD_KAFKA_RESP_ERR__TRANSPORT:
		case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
			return "Check that the brokers run and can be reached from the database server, and that \"security_protocol\" is what their listener speaks.";
		case RD_KAFKA_RESP_ERR__SSL:
			return "Check \"ssl_ca_pem\" or \"ssl_ca_file\", the client certificate in the user mapping, and that \"security_protocol\" is what the listener speaks.";
		case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
			return "Check username and password in the user mapping, and the server option \"sasl_mechanism\".";
		case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
		case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
			return "Check the server options \"security_protocol\" and \"sasl_mechanism\".";
		case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
			return "Raise max.message.bytes of the topic, or send less in one message.";
		case RD_KAFKA_RESP_ERR_INVALID_RECORD:
		case RD_KAFKA_RESP_ERR_INVALID_MSG:
			return "A compacted topic takes no message without a key.";
		case RD_KAFKA_RESP_ERR__TIMED_OUT:
		case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
		case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
			return "The broker does not answer; a Kafka user without Read on the consumer group sees this, too.";
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
			return "Create the topic (it is picked up within 10 s), or give the Kafka user Read on it.";
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
			return "Messages were deleted by retention, or the topic was made anew; choose where to go on with kafka_consumer_seek().";
		case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
			return "Other members of the consumer group use another assignor than cooperative-sticky; stop them, or choose another \"service_name\".";
		case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
			return "Another process has the same group.instance.id; look for a copy of this database that runs.";
		case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
			return "A batch took longer than the server option \"max_poll_interval\"; raise it, or make the handler faster or \"batch_size\" smaller.";
		case RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED:
			return "Set the server option \"workers\" lower, or the broker's group.max.size higher.";
		case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
			return "Is this a KRaft controller's port? \"bootstrap_servers\" must name listeners of brokers. Else the brokers are too old; Kafka 0.11 or later is needed.";
		case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
		case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
			return "The installed librdkafka may have been built without this feature or compression type.";
		case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
			return "The brokers are too old; Kafka 0.11 or later is needed.";
		default:
			return own_hint(error);
	}
}

char *
ke_client_describe_silence(const char *servers, const char *why,
						   const char *hint)
{
	return psprintf("could not reach Kafka at \"%s\": %s%s%s", servers, why,
					hint != NULL ? ": " : "", hint != NULL ? hint : "");
}

bool
ke_client_is_silence(int error)
{
	return error == RD_KAFKA_RESP_ERR__TRANSPORT ||
		error == RD_KAFKA_RESP_ERR__TIMED_OUT ||
		error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
		error == KE_CLIENT_ADVERTISED;
}

bool
ke_client_is_missing_topic(int error)
{
	return error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
		error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

bool
ke_client_is_refusal(int error)
{
	switch (error)
	{
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
		case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
		case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
		case RD_KAFKA_RESP_ERR_INVALID_REQUEST:
		case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
		case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
		case RD_KAFKA_RESP_ERR__INVALID_ARG:
			return true;
		default:
			return false;
	}
}
