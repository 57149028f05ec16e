// SPDX-License-Identifier: LGPL-2.1-or-later

// Device to cloud: what the SDK sends is what the hub has.

import assert from 'node:assert/strict';

import { step, until } from './harness.mjs';

const BODY_MAX = 256 * 1024;

// Names and values that are hard on topics, on percent-encoding or on both.
export const hardProperties = {
    plain: 'value',
    'k ey': 'v=l&~\'()*\u00e9',
    'a/b/c': '/leading/and/trailing/',
    'wild+#': '+/#',
    '%41': '100%',
    '=': '==',
    'a&b': '?$.mid=no',
    'na\u00efve \u65e5\u672c\u8a9e': '\u{1f680} \u{1f468}\u200d\u{1f4bb}',
    quotes: '"\'`\\',
    empty: '',
    long: 'x'.repeat(2000),
};

function bodyOf(message) {
    return message.bodyBase64 === undefined ? Buffer.from(message.body) : Buffer.from(message.bodyBase64, 'base64');
}

export function addTelemetrySteps(bench) {
    const { emulator } = bench;

    async function sendOne(client, device, message) {
        await client.sendEvent(message);
        const messages = await emulator.messages(device.deviceId);
        assert.ok(messages.length > 0, 'acknowledged, and not in the hub');
        return messages[messages.length - 1];
    }

    step('telemetry: system properties reach the hub', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);

        const stored = await sendOne(client, device, bench.message('{"temperature":21.5}', {
            messageId: 'reading-1', correlationId: 'c/2', userId: 'user 3', to: 'somewhere',
            contentType: 'application/json', contentEncoding: 'utf-8',
            expiryTimeUtc: new Date('2038-01-19T03:14:07Z'),
        }));

        const system = stored.systemProperties;
        assert.equal(stored.body, '{"temperature":21.5}');
        assert.equal(stored.deviceId, device.deviceId);
        assert.equal(stored.duplicate, false);
        assert.deepEqual(stored.properties, {});
        assert.equal(system['message-id'], 'reading-1');
        assert.equal(system['correlation-id'], 'c/2');
        assert.equal(system['user-id'], 'user 3');
        assert.equal(system['content-type'], 'application/json');
        assert.equal(system['content-encoding'], 'utf-8');
        assert.equal(system['iothub-connection-device-id'], device.deviceId);
        assert.equal(system['iothub-connection-auth-generation-id'], device.generationId);
        assert.equal(JSON.parse(system['iothub-connection-auth-method']).type, 'sas');
        assert.equal(system['iothub-message-source'], 'Telemetry');
        assert.ok(Math.abs(Date.parse(system['iothub-enqueuedtime']) - Date.now()) < 60000);
    });

    step('telemetry: hard characters in application properties', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);

        const stored = await sendOne(client, device, bench.message('x', { properties: hardProperties }));

        assert.deepEqual(stored.properties, hardProperties);
    });

    step('telemetry: each hard property alone', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);

        for (const [name, value] of Object.entries(hardProperties)) {
            const stored = await sendOne(client, device, bench.message('x', { properties: { [name]: value } }));
            assert.deepEqual(stored.properties, { [name]: value });
        }
    });

    step('telemetry: every character a message id may have', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);
        const messageId = 'Az09-:.+%_#*?!(),=@;$\'';

        const stored = await sendOne(client, device, bench.message('x', { messageId, correlationId: messageId }));

        assert.equal(stored.systemProperties['message-id'], messageId);
        assert.equal(stored.systemProperties['correlation-id'], messageId);
    });

    step('telemetry: any bytes as a body, and none', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);
        const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

        const stored = await sendOne(client, device, bench.message(bytes));
        assert.deepEqual(bodyOf(stored), bytes);
        assert.equal(stored.bodySize, 256);

        const empty = await sendOne(client, device, bench.message(''));
        assert.equal(empty.bodySize, 0);
    });

    step('telemetry: a device id of all legal characters', async () => {
        const id = 'A-z.9+%_#*?!(),=@$\'';
        await emulator.putDevice(id);
        const device = await emulator.device(id);
        assert.equal(device.deviceId, id);
        // "+" and "#" are no topic names in MQTT, so no MQTT client can use such an id in full.
        const usable = await bench.newDevice('A-z.9%_*?!(),=@$\'');
        const client = await bench.open(usable.connectionString);

        const stored = await sendOne(client, usable, bench.message('x'));

        assert.equal(stored.deviceId, usable.deviceId);
    });

    step('telemetry: a thousand at once arrive whole and in order', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);
        const ids = Array.from({ length: 1000 }, (_, i) => `m-${i}`);

        await Promise.all(ids.map((messageId) => client.sendEvent(bench.message(messageId, { messageId }))));

        const stored = await emulator.messages(device.deviceId);
        assert.deepEqual(stored.map((message) => message.systemProperties['message-id']), ids);
        assert.deepEqual(stored.map((message) => message.body), ids);
        const sequences = stored.map((message) => message.sequence);
        assert.deepEqual(sequences, [...sequences].sort((a, b) => a - b));
    });

    step('telemetry: 256 KiB are taken, one byte more ends the connection', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);
        const stored = await sendOne(client, device, bench.message(Buffer.alloc(BODY_MAX, 'x')));
        assert.equal(stored.bodySize, BODY_MAX);
        const lost = bench.disconnected(client);

        // The SDK looks at the body alone; the hub counts properties too.
        const error = await client.sendEvent(bench.message(Buffer.alloc(BODY_MAX, 'x'), { properties: { k: '' } }))
            .then(() => null, (problem) => problem);

        assert.equal(error?.name, 'NotConnectedError');
        await lost;
        assert.equal((await emulator.messages(device.deviceId)).length, 1);
        const again = await bench.open(device.connectionString);
        await again.sendEvent(bench.message('small'));
    });

    step('telemetry: a module has its own identity', async () => {
        const device = await bench.newDevice();
        const module = await emulator.call('PUT', `/devices/${device.deviceId}/modules/mod-a`);
        const client = bench.moduleClient(module.connectionString);
        await client.open();

        await client.sendEvent(bench.message('from the module', { properties: { hard: 'a/b&c' } }));

        const stored = (await emulator.messages(device.deviceId)).pop();
        assert.equal(stored.moduleId, 'mod-a');
        assert.equal(stored.systemProperties['iothub-connection-module-id'], 'mod-a');
        assert.deepEqual(stored.properties, { hard: 'a/b&c' });
        await client.sendOutputEvent('out put', bench.message('an output'));
        const output = (await emulator.messages(device.deviceId)).pop();
        assert.equal(output.systemProperties['iothub-outputname'], 'out put');
        assert.deepEqual(output.properties, {});
    });

    step('telemetry: sent again when the connection is cut before the acknowledgement', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString, { retry: true });
        await emulator.fault('cut-after', { after: 5, count: 2, device: device.deviceId });
        const ids = Array.from({ length: 20 }, (_, i) => `m-${i}`);

        for (const messageId of ids)
            await client.sendEvent(bench.message('x', { messageId }));

        const stored = await emulator.messages(device.deviceId);
        assert.deepEqual([...new Set(stored.map((message) => message.systemProperties['message-id']))], ids);
    });

    step('telemetry: acknowledged no sooner than the hub says', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);
        await emulator.fault('delay', { ms: 700, device: device.deviceId });
        const started = Date.now();

        await client.sendEvent(bench.message('slow'));
        assert.ok(Date.now() - started >= 690);

        await emulator.call('DELETE', '/faults');
        await emulator.fault('stall-acks', { device: device.deviceId });
        let done = false;
        const sent = client.sendEvent(bench.message('stalled')).then(() => { done = true; });
        await until('the stalled message is stored',
            async () => (await emulator.messages(device.deviceId)).length === 2);
        assert.equal(done, false);
        await emulator.call('DELETE', '/faults');
        await sent;
    });
}
