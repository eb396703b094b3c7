#!/usr/bin/env node
/*
 * consume.js --broker HOST:PORT,... --topic TOPIC
 *
 * An independent client (KafkaJS) that prints everything that is in a topic
 * when it starts, one JSON object per message:
 *   {"partition":, "offset":, "timestamp": ms, "key":, "value":,
 *    "headers": [[name, value], ...]}
 * key, value and header values are in base64, or null; of a header that is
 * there several times there are several pairs.  (KafkaJS does not keep the
 * order of headers with different names; kcat does.)
 */
'use strict';

const { Kafka, logLevel } = require('kafkajs');

function parseArguments(argv) {
  const options = {};
  for (let i = 0; i < argv.length; i += 2) {
    options[argv[i].replace(/^--/, '')] = argv[i + 1];
  }
  return options;
}

function base64(bytes) {
  return bytes === null || bytes === undefined ? null
    : Buffer.from(bytes).toString('base64');
}

function headerPairs(headers) {
  const pairs = [];
  for (const [name, value] of Object.entries(headers || {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      pairs.push([name, base64(one)]);
    }
  }
  return pairs;
}

async function main() {
  const options = parseArguments(process.argv.slice(2));
  const kafka = new Kafka({
    clientId: 'kafka-events-test',
    brokers: options.broker.split(','),
    logLevel: logLevel.NOTHING,
  });
  const admin = kafka.admin();
  await admin.connect();
  const left = new Map();
  for (const { partition, low, high } of await admin.fetchTopicOffsets(options.topic)) {
    if (low !== high) left.set(partition, BigInt(high));
  }
  const groupId = `consume-js-${process.pid}`;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
  if (left.size > 0) {
    await consumer.connect();
    await consumer.subscribe({ topics: [options.topic], fromBeginning: true });
    await new Promise((resolve, reject) => {
      // a broker that has just started may not know its groups yet
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        if (!payload.restart) reject(payload.error);
      });
      consumer.run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          const { partition } = batch;
          for (const message of batch.messages) {
            if (left.has(partition) && BigInt(message.offset) < left.get(partition)) {
              process.stdout.write(`${JSON.stringify({
                partition,
                offset: Number(message.offset),
                timestamp: Number(message.timestamp),
                key: base64(message.key),
                value: base64(message.value),
                headers: headerPairs(message.headers),
              })}\n`);
            }
          }
          if (left.has(partition) && BigInt(batch.lastOffset()) + 1n >= left.get(partition)) {
            left.delete(partition);
          }
          if (left.size === 0) resolve();
        },
      }).catch(reject);
    });
    await consumer.disconnect();
    await admin.deleteGroups([groupId]).catch(() => {});
  }
  await admin.disconnect();
}

main().then(() => process.stdout.end(() => process.exit(0)), (error) => {
  console.error(error);
  process.exit(1);
});
