// SPDX-License-Identifier: LGPL-2.1-or-later

// Cloud to device: what the hub queues, the SDK gets, and its acknowledgement completes it.

import assert from 'node:assert/strict';

import { sleep, step, until } from './harness.mjs';
import { hardProperties } from './steps-telemetry.mjs';

// The SDK turns the "iothub-ack" of the topic into an application property.
function propertiesOf(message) {
    return Object.fromEntries(message.properties.propertyList.map(({ key, value }) => [key, value]));
}

export function addCloudToDeviceSteps(bench) {
    const { emulator } = bench;

    step('c2d: a waiting message is delivered on connect and completed', async () => {
        const device = await bench.newDevice();
        const { messageId } = await emulator.send(device.deviceId, {
            body: '{"setPoint":19}', messageId: 'c2d-1', correlationId: 'c/2 & more', userId: 'some one',
            contentType: 'application/json', contentEncoding: 'utf-8', ack: 'full', properties: { k: 'v' },
        });
        assert.equal(messageId, 'c2d-1');
        assert.equal((await emulator.fate(device.deviceId, 'c2d-1')).state, 'Enqueued');
        assert.equal((await emulator.device(device.deviceId)).cloudToDeviceMessageCount, 1);

        const client = await bench.open(device.connectionString);
        const [message] = await bench.receive(client, 1);

        assert.equal(message.data.toString(), '{"setPoint":19}');
        assert.equal(message.messageId, 'c2d-1');
        assert.equal(message.correlationId, 'c/2 & more');
        assert.equal(message.userId, 'some one');
        assert.equal(message.contentType, 'application/json');
        assert.equal(message.contentEncoding, 'utf-8');
        assert.equal(message.to, `/devices/${device.deviceId}/messages/deviceBound`);
        assert.deepEqual(propertiesOf(message), { k: 'v', 'iothub-ack': 'full' });
        const fate = await emulator.reaches(device.deviceId, 'c2d-1', 'Completed');
        assert.ok(fate.completedTime);
        assert.equal((await emulator.device(device.deviceId)).cloudToDeviceMessageCount, 0);
    });

    step('c2d: feedback says so', async () => {
        const device = await bench.newDevice();
        await emulator.send(device.deviceId, { body: 'x', messageId: 'wanted', ack: 'positive' });
        await emulator.send(device.deviceId, { body: 'x', messageId: 'silent' });
        const client = await bench.open(device.connectionString);
        await bench.receive(client, 2);

        const record = await until('the feedback record', async () =>
            (await emulator.call('GET', '/feedback')).find(({ deviceId }) => deviceId === device.deviceId), 20000);

        assert.equal(record.originalMessageId, 'wanted');
        assert.equal(record.statusCode, 'Success');
        assert.equal(record.deviceGenerationId, device.generationId);
        const all = await emulator.call('GET', '/feedback');
        assert.equal(all.filter(({ originalMessageId }) => originalMessageId === 'silent').length, 0);
    });

    step('c2d: hard characters and any bytes', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);
        const received = bench.receive(client, 2);
        const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

        await emulator.send(device.deviceId, { body: 'zw\u00f6lf', properties: hardProperties });
        await emulator.send(device.deviceId, { bodyBase64: bytes.toString('base64') });

        const [text, binary] = await received;
        assert.equal(text.data.toString(), 'zw\u00f6lf');
        assert.deepEqual(propertiesOf(text), hardProperties);
        assert.deepEqual(Buffer.from(binary.data), bytes);
        assert.deepEqual(propertiesOf(binary), {});
    });

    step('c2d: fifty wait in order, the fifty-first is refused', async () => {
        const device = await bench.newDevice();
        const ids = Array.from({ length: 50 }, (_, i) => `c2d-${i}`);
        for (const messageId of ids)
            await emulator.send(device.deviceId, { body: messageId, messageId });

        const refused = await emulator.ask('POST', `/devices/${device.deviceId}/messages`, { body: 'one too many' });
        assert.equal(refused.status, 403);
        assert.equal(refused.answer.errorCode, 403004);
        const client = await bench.open(device.connectionString);
        const messages = await bench.receive(client, 50);

        assert.deepEqual(messages.map((message) => message.messageId), ids);
        await emulator.reaches(device.deviceId, 'c2d-49', 'Completed');
        const queue = await emulator.call('GET', `/devices/${device.deviceId}/messages`);
        assert.deepEqual([...new Set(queue.map(({ state }) => state))], ['Completed']);
    });

    step('c2d: 64 KiB are taken, more is refused', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);
        const received = bench.receive(client, 1);
        const body = 'x'.repeat(60 * 1024);

        const refused = await emulator.ask('POST', `/devices/${device.deviceId}/messages`,
            { body: 'x'.repeat(64 * 1024 + 1) });
        assert.equal(refused.status, 413);
        await emulator.send(device.deviceId, { body });

        assert.equal((await received)[0].data.toString(), body);
    });

    step('c2d: an expired message is dead-lettered, not delivered', async () => {
        const device = await bench.newDevice();
        await emulator.send(device.deviceId, { body: 'late', messageId: 'late', expirySec: 1 });
        const fate = await emulator.reaches(device.deviceId, 'late', 'DeadLettered');
        assert.equal(fate.reason, 'Expired');
        await emulator.send(device.deviceId, { body: 'fresh', messageId: 'fresh' });

        const client = await bench.open(device.connectionString);
        const [message] = await bench.receive(client, 1);

        assert.equal(message.messageId, 'fresh');
    });

    step('c2d: without a listener messages wait in the hub', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);
        await bench.receive(client, 0, 300).catch(() => {});
        client.removeAllListeners('message');
        await client.sendEvent(bench.message('comes after the UNSUBSCRIBE'));

        await emulator.send(device.deviceId, { body: 'x', messageId: 'waits' });
        await sleep(300);
        assert.equal((await emulator.fate(device.deviceId, 'waits')).state, 'Enqueued');

        const [message] = await bench.receive(client, 1);
        assert.equal(message.messageId, 'waits');
        await emulator.reaches(device.deviceId, 'waits', 'Completed');
    });

    step('c2d: purged messages do not arrive', async () => {
        const device = await bench.newDevice();
        await emulator.send(device.deviceId, { body: 'x', messageId: 'purged' });
        const answer = await emulator.call('DELETE', `/devices/${device.deviceId}/messages`);
        assert.equal(answer.totalMessagesPurged, 1);
        assert.equal((await emulator.fate(device.deviceId, 'purged')).state, 'Purged');
        await emulator.send(device.deviceId, { body: 'x', messageId: 'kept' });

        const client = await bench.open(device.connectionString);
        const [message] = await bench.receive(client, 1);

        assert.equal(message.messageId, 'kept');
    });
}
