#!/usr/bin/env node
/*
 * produce.js --broker HOST:PORT,... --topic TOPIC [options]
 *
 * An independent client (KafkaJS) that writes events and keeps a journal of
 * what the broker acknowledged, for tests to compare with.
 *
 * Without --stdin it makes events of its own:
 *   value      {"id": n, "key": "k7", "seq": n-th of its key, "pad": "..."}
 *   key        k0 ... k<keys - 1>
 *   headers    id: n, source: kafkajs
 *   --count N         how many (1000)
 *   --first N         first id (1)
 *   --rate N          per second (0: as fast as possible)
 *   --batch N         per request (500)
 *   --keys N          distinct keys (100); 0: no keys
 *   --pad N           bytes of padding in the value (0)
 *   --partition N     all into this partition
 * With --stdin it sends each line of its input, a JSON object
 *   {"key":, "value":, "headers": {}, "partition":, "timestamp": ms}
 * of which only value is required; key, value and header values are a string,
 * {"base64": "..."} or {"repeat": "x", "times": n}; a header may be an array
 * of them; where their order matters, headers are a list [[name, value], ...].
 * Key and value may be null.  (KafkaJS reads null headers but
 * cannot send them; kcat does: -H name.)
 *
 *   --transactional ID  in transactions, one per request
 *   --abort N           abort every n-th transaction
 *   --persistent        send a request again until the broker takes it: what
 *                       was not acknowledged may then be there twice
 *   --journal FILE      one line per event: {"id", "key", "state"}, state is
 *                       committed or aborted; nothing is written for requests
 *                       that the broker did not acknowledge
 *
 * Exits with 0 once everything is acknowledged; at SIGTERM it finishes the
 * request at hand and exits with 0 too; and with 1 when its parent is gone.
 */
'use strict';

const fs = require('fs');
const readline = require('readline');
const { Kafka, logLevel, Partitioners } = require('kafkajs');

const FLAGS = new Set(['stdin', 'persistent']);

function parseArguments(argv) {
  const options = {
    count: 1000, first: 1, rate: 0, batch: 500, keys: 100, pad: 0, abort: 0,
  };
  for (let i = 0; i < argv.length; i++) {
    const name = argv[i].replace(/^--/, '');
    if (FLAGS.has(name)) {
      options[name] = true;
    } else {
      const value = argv[++i];
      options[name] = typeof options[name] === 'number' ? Number(value) : value;
    }
  }
  return options;
}

function bytes(part) {
  if (part === null || part === undefined) return null;
  if (typeof part === 'string') return part;
  if ('base64' in part) return Buffer.from(part.base64, 'base64');
  return part.repeat.repeat(part.times);
}

function messageOfLine(line) {
  const input = JSON.parse(line);
  const message = { key: bytes(input.key), value: bytes(input.value), id: null };
  if (input.headers) {
    message.headers = {};
    const headers = Array.isArray(input.headers) ? input.headers : Object.entries(input.headers);
    for (const [name, value] of headers) {
      message.headers[name] = Array.isArray(value) ? value.map(bytes) : bytes(value);
    }
  }
  if ('partition' in input) message.partition = input.partition;
  if ('timestamp' in input) message.timestamp = String(input.timestamp);
  return message;
}

async function* batchesOfStdin(options) {
  let batch = [];
  for await (const line of readline.createInterface({ input: process.stdin })) {
    batch.push(messageOfLine(line));
    if (batch.length === options.batch) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

function madeMessage(id, options) {
  const message = { id, headers: { id: String(id), source: 'kafkajs' } };
  const event = { id, seq: id };
  if (options.keys > 0) {
    message.key = `k${id % options.keys}`;
    event.key = message.key;
    event.seq = Math.floor(id / options.keys);
  }
  if (options.pad > 0) event.pad = 'x'.repeat(options.pad);
  if (options.partition !== undefined) message.partition = Number(options.partition);
  message.value = JSON.stringify(event);
  return message;
}

async function* batchesMade(options) {
  const started = Date.now();
  for (let sent = 0; sent < options.count;) {
    const batch = [];
    while (batch.length < options.batch && sent < options.count) {
      batch.push(madeMessage(options.first + sent++, options));
    }
    if (options.rate > 0) {
      const due = started + ((sent - batch.length) / options.rate) * 1000;
      const early = due - Date.now();
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    }
    yield batch;
  }
}

async function sendBatch(producer, options, batch, number) {
  const request = { topic: options.topic, acks: -1, messages: batch };
  if (!options.transactional) {
    await producer.send(request);
    return 'committed';
  }
  const transaction = await producer.transaction();
  await transaction.send(request);
  if (options.abort > 0 && number % options.abort === 0) {
    await transaction.abort();
    return 'aborted';
  }
  await transaction.commit();
  return 'committed';
}

class Connection {
  constructor(kafka, transactionalId) {
    this.kafka = kafka;
    this.transactionalId = transactionalId;
    this.producer = null;
  }

  async open() {
    if (this.producer === null) {
      const producer = this.kafka.producer({
        createPartitioner: Partitioners.DefaultPartitioner,
        allowAutoTopicCreation: false,
        idempotent: true,
        maxInFlightRequests: 1,
        transactionalId: this.transactionalId,
      });
      await producer.connect();
      this.producer = producer;
    }
    return this.producer;
  }

  async close() {
    const { producer } = this;
    this.producer = null;
    if (producer !== null) await producer.disconnect();
  }
}

async function sendPersistently(connection, options, batch, number) {
  for (;;) {
    try {
      return await sendBatch(await connection.open(), options, batch, number);
    } catch (error) {
      if (!options.persistent) throw error;
      await connection.close().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

async function main() {
  const options = parseArguments(process.argv.slice(2));
  const kafka = new Kafka({
    clientId: 'kafka-events-test',
    brokers: options.broker.split(','),
    logLevel: logLevel.NOTHING,
    retry: { retries: 30, initialRetryTime: 30, maxRetryTime: 1000 },
  });
  const connection = new Connection(kafka, options.transactional);
  const journal = options.journal ? fs.openSync(options.journal, 'a') : null;
  let stopping = false;
  process.on('SIGTERM', () => { stopping = true; });
  const parent = process.ppid;
  setInterval(() => { if (process.ppid !== parent) process.exit(1); }, 1000).unref();

  let number = 0;
  const batches = options.stdin ? batchesOfStdin(options) : batchesMade(options);
  for await (const batch of batches) {
    const state = await sendPersistently(connection, options, batch, ++number);
    if (journal !== null) {
      fs.writeSync(journal, batch.map((message) => `${JSON.stringify(
        { id: message.id, key: message.key, state })}\n`).join(''));
    }
    if (stopping) break;
  }
  await connection.close();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
