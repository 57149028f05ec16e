// SPDX-License-Identifier: LGPL-2.1-or-later

// Microsoft's SDK at work on the emulator: devices, clients and tokens that live for one step.

import { createHmac } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createRequire } from 'node:module';

import { within } from './harness.mjs';

// A token as Microsoft's documentation makes it, without the SDK's help.
export function sasToken(resource, key, expirySec, policy) {
    const sr = encodeURIComponent(resource);
    const sig = createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${expirySec}`).digest('base64');
    const skn = policy ? `&skn=${policy}` : '';
    return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${expirySec}${skn}`;
}

export function nowSec() {
    return Math.floor(Date.now() / 1000);
}

export class Bench {
    constructor(emulator, modulesDir) {
        const require = createRequire(`${modulesDir}/`);
        this.emulator = emulator;
        this.device = require('azure-iot-device');
        this.common = require('azure-iot-common');
        this.rhea = require('rhea');
        this.Message = this.device.Message;
        this.transports = {
            ...require('azure-iot-device-mqtt'),
            ...require('azure-iot-device-amqp'),
            ...require('azure-iot-device-http'),
        };
        this.Mqtt = this.transports.Mqtt;
        this.clients = [];
        this.devices = 0;
    }

    // A device of its own for each step, so that steps cannot disturb one another.
    async newDevice(prefix = 'dev', settings = {}) {
        const id = `${prefix}-${++this.devices}`;
        await this.emulator.putDevice(id, settings);
        return this.emulator.device(id);
    }

    #adopt(client, retry) {
        client.failures = [];
        client.on('error', (error) => client.failures.push(error));
        if (!retry)
            client.setRetryPolicy(new this.common.NoRetry());
        this.clients.push(client);
        return client;
    }

    // A client that is not open yet. Without `retry` the SDK hands each failure on at once, and
    // tells of a lost connection with its event "disconnect". `transport` is a class of the SDK.
    client(connectionString, { retry = false, transport = this.Mqtt } = {}) {
        return this.#adopt(this.device.Client.fromConnectionString(connectionString, transport), retry);
    }

    clientWithToken(token, { retry = false } = {}) {
        return this.#adopt(this.device.Client.fromSharedAccessSignature(token, this.Mqtt), retry);
    }

    // With credentials that the SDK would not make by itself.
    clientWithCredentials(credentials) {
        const provider = Object.assign(new EventEmitter(), {
            type: this.common.AuthenticationType.Token,
            getDeviceCredentials: (callback) => callback(null, credentials),
            stop: () => {},
        });
        return this.#adopt(this.device.Client.fromAuthenticationProvider(provider, this.Mqtt), false);
    }

    moduleClient(connectionString) {
        return this.#adopt(this.device.ModuleClient.fromConnectionString(connectionString, this.Mqtt), false);
    }

    async open(connectionString, options) {
        const client = this.client(connectionString, options);
        await client.open();
        return client;
    }

    message(body, { properties = {}, ...system } = {}) {
        const message = new this.Message(body);
        for (const [name, value] of Object.entries(properties))
            message.properties.add(name, value);
        return Object.assign(message, system);
    }

    // Takes and completes the next `count` messages: a promise of them.
    receive(client, count, ms = 15000) {
        const got = [];
        const all = new Promise((resolve, reject) => {
            client.on('message', (message) => {
                got.push(message);
                client.complete(message).then(() => got.length === count && resolve(got), reject);
            });
        });
        return within(ms, `${count} cloud messages`, all).catch((error) => {
            error.message += ` (${got.length} came; failures: ${client.failures.join(', ') || 'none'})`;
            throw error;
        });
    }

    disconnected(client, ms = 15000) {
        return within(ms, 'the event "disconnect"', once(client, 'disconnect'));
    }

    // What goes wrong when a client opens; it has to go wrong.
    async refusal(client) {
        const opened = await client.open().then(() => true, (error) => error);
        if (opened === true)
            throw new Error('the emulator let it in');
        return opened;
    }

    async tidy() {
        await Promise.allSettled(this.clients.splice(0).map((client) => {
            client.removeAllListeners();
            return within(5000, 'closing a client', client.close());
        }));
        await this.emulator.call('DELETE', '/faults');
    }
}
