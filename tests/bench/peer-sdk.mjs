#!/usr/bin/env node
// SPDX-License-Identifier: LGPL-2.1-or-later

// The peer of the benchmarks: Microsoft's device SDK for Node, unchanged, in a process of its own.
// It connects, says "ready", and then does what each line of its input asks, with one line (c2d:
// several) in answer:
//
//   send WINDOW MESSAGES BODY-SIZE    sendEvent, so many unanswered at a time: seconds
//   batch SIZE MESSAGES BODY-SIZE     sendEventBatch, two at a time (Http only): seconds
//   latency RATE MESSAGES BODY-SIZE   sendEvent at RATE a second: p50 p99 max of microseconds
//   c2d MESSAGES                      "listening", then CLOCK_MONOTONIC microseconds for each
//
// peer-sdk.mjs MODULES-DIR CONNECTION-STRING TRANSPORT PORT
//
// TRANSPORT is a class of the SDK: Mqtt, MqttWs, Amqp, AmqpWs, Http. The SDK knows the standard
// ports only; where it would connect to one of these on this machine, PORT is taken instead.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [modulesDir, connectionString, transportName, port] = process.argv.slice(2);
const require = createRequire(`${modulesDir}/`);
const STANDARD_PORTS = [8883, 5671, 443];

function redirect(module) {
    const connect = module.connect;
    module.connect = (...args) => {
        const isStandard = (value) => STANDARD_PORTS.includes(Number(value));
        for (const [i, arg] of args.entries())
            if (typeof arg === 'object' && isStandard(arg?.port))
                arg.port = Number(port);
            else if (typeof arg !== 'object' && isStandard(arg))
                args[i] = Number(port);
        return connect(...args);
    };
}
redirect(require('tls')); // before the SDK looks at it

const { Client, Message } = require('azure-iot-device');
const transport = {
    ...require('azure-iot-device-mqtt'),
    ...require('azure-iot-device-amqp'),
    ...require('azure-iot-device-http'),
}[transportName];

function monotonicUsec() {
    return Number(process.hrtime.bigint() / 1000n);
}

// With an id, as spoke gives each message one.
let lastId = 0;

function newMessage(size) {
    const message = new Message('x'.repeat(size));
    message.messageId = `0123456789abcdef-${++lastId}`;
    message.contentType = 'application/json';
    message.properties.add('room', 'kitchen');
    return message;
}

// The hub may close an HTTP connection just as the SDK takes it up again, which the SDK leaves to its
// user.
function persistently(call, done) {
    call((error) => (error?.code === 'ECONNRESET' ? persistently(call, done) : done(error)));
}

// Calls sendOne() until `calls` are answered, `window` at a time. Returns: seconds
function pump(window, calls, sendOne) {
    const began = monotonicUsec();
    let sent = 0;
    let answered = 0;
    return new Promise((resolve, reject) => {
        const go = () => {
            sent++;
            persistently(sendOne, (error) => {
                if (error)
                    return reject(error);
                if (++answered === calls)
                    return resolve((monotonicUsec() - began) / 1e6);
                if (sent < calls)
                    go();
            });
        };
        for (let i = Math.min(window, calls); i > 0; i--)
            go();
    });
}

async function measureLatency(client, rate, messages, size) {
    const usec = [];
    const began = monotonicUsec();
    await new Promise((resolve, reject) => {
        let sent = 0;
        const go = () => {
            const called = monotonicUsec();
            persistently((done) => client.sendEvent(newMessage(size), done), (error) => {
                if (error)
                    return reject(error);
                usec.push(monotonicUsec() - called);
                if (usec.length === messages)
                    resolve();
            });
            if (++sent < messages)
                setTimeout(go, Math.max(0, (began + sent * 1e6 / rate - monotonicUsec()) / 1000));
        };
        go();
    });
    usec.sort((a, b) => a - b);
    return `${usec[Math.floor(messages / 2)]} ${usec[Math.floor(messages * 0.99)]} ${usec[messages - 1]}`;
}

async function listen(client, messages) {
    let came = 0;
    await new Promise((resolve, reject) => {
        client.on('message', (message) => {
            console.log(`${monotonicUsec()}`);
            client.complete(message, (error) => {
                if (error)
                    return reject(error);
                if (++came === messages)
                    resolve();
            });
        });
        // The subscription has no event; a message that waits at the hub comes once it is there.
        console.log('listening');
    });
    client.removeAllListeners('message');
}

async function obey(client, [verb, ...words]) {
    const [first, messages, size] = words.map(Number);
    switch (verb) {
    case 'send':
        return pump(first, messages, (done) => client.sendEvent(newMessage(size), done));
    case 'batch':
        return pump(2, messages / first,
            (done) => client.sendEventBatch(Array.from({ length: first }, () => newMessage(size)), done));
    case 'latency':
        return measureLatency(client, first, messages, size);
    case 'c2d':
        return listen(client, first).then(() => 'done');
    default:
        throw new Error(`unknown: ${verb}`);
    }
}

const client = Client.fromConnectionString(connectionString, transport);
client.on('error', (error) => {
    console.error(`peer-sdk: ${error}`);
    process.exit(1);
});
await client.open();
console.log('ready');
for await (const line of createInterface({ input: process.stdin }))
    console.log(`${await obey(client, line.split(' '))}`);
await client.close();
process.exit(0);
