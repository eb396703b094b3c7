#!/bin/bash
# NestJS (@nestjs/microservices 11.2.6) loses an event that has a property named
# key: its Kafka client takes any object with a "key" or a "value" for a whole
# Kafka message.  Of {"key": "k", "amount": 5} it sends the key k with a NULL
# value, a tombstone: compaction, and a sink that takes deletes, then remove
# what k names.  Of {"value": 7, "unit": "kg"} it sends 7.  There is no error.
#
# Seen on Node.js 20 with what emit() gives to KafkaJS 2.2.4:
#   {"amount":5}             no key, value {"amount":5}
#   {"key":"k","amount":5}   key k, value null
#   {"value":7,"unit":"kg"}  no key, value 7
#
# Exits with 1 when that is no longer so, with 2 when it cannot be tried.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

give_up()
{
	echo "cannot be tried: $1"
	exit 2
}

echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @nestjs/microservices@11.2.6 \
	@nestjs/core@11.2.10 @nestjs/common@11.2.10 kafkajs@2.2.4 rxjs@7.8.2 \
	reflect-metadata@0.2.2 >npm.log 2>&1 </dev/null ||
	give_up "no @nestjs/microservices 11.2.6"

# A client that gives its messages to nobody but us
cat >send.js <<-'JAVASCRIPT'
	require('reflect-metadata');
	const { ClientKafka } = require('@nestjs/microservices');
	const { lastValueFrom } = require('rxjs');

	class Client extends ClientKafka {
		async connect() {
			this._producer = { send: async ({ messages }) => { this.sent = messages[0]; } };
		}
	}

	(async () => {
		for (const event of [{ amount: 5 }, { key: 'k', amount: 5 }, { value: 7, unit: 'kg' }]) {
			const client = new Client({});
			const text = JSON.stringify(event);

			await lastValueFrom(client.emit('orders', event), { defaultValue: null });
			console.log(`${text}: key ${client.sent.key ?? 'none'}, value ${client.sent.value}`);
		}
	})();
JAVASCRIPT
node send.js >seen 2>node.log || give_up "the client does not run: $(tail -n 3 node.log)"
cat seen
cat >known <<-'KNOWN'
	{"amount":5}: key none, value {"amount":5}
	{"key":"k","amount":5}: key k, value null
	{"value":7,"unit":"kg"}: key none, value 7
KNOWN
cmp -s seen known || exit 1
