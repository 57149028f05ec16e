// SPDX-License-Identifier: LGPL-2.1-or-later

// What is HTTPS's own: status codes, and that a request leaves a live link alone.

import assert from 'node:assert/strict';

import { step } from './harness.mjs';

export function addHttpSteps(bench) {
    const { emulator } = bench;

    async function open(device) {
        const client = bench.client(device.connectionString, { transport: bench.transports.Http });
        await client.open();
        return client;
    }

    function refusal(sent) {
        return sent.then(() => assert.fail('the emulator took it'), (error) => error);
    }

    step('Http: throttled and out of quota, and again when that is over', async () => {
        const device = await bench.newDevice();
        const client = await open(device);
        await emulator.fault('throttle', { rate: 1, device: device.deviceId });
        await client.sendEvent(bench.message('first'));

        const throttled = await refusal(client.sendEvent(bench.message('second')));
        assert.equal(throttled.response?.statusCode, 429);
        assert.equal(throttled.response.headers['retry-after'], '10');
        await emulator.call('DELETE', '/faults');
        await emulator.fault('quota', { device: device.deviceId });
        assert.equal((await refusal(client.sendEvent(bench.message('third')))).name, 'IotHubQuotaExceededError');
        await emulator.call('DELETE', '/faults');
        await client.sendEvent(bench.message('fourth'));

        const bodies = (await emulator.messages(device.deviceId)).map(({ body }) => body);
        assert.deepEqual(bodies, ['first', 'fourth']);
    });

    step('Http: refused on request with 401 and 503', async () => {
        const device = await bench.newDevice();
        const client = await open(device);
        await emulator.fault('refuse', { code: 5, device: device.deviceId });
        assert.equal((await refusal(client.sendEvent(bench.message('x')))).name, 'UnauthorizedError');
        await emulator.fault('refuse', { code: 3, device: device.deviceId });
        assert.equal((await refusal(client.sendEvent(bench.message('x')))).name, 'ServiceUnavailableError');
        await client.sendEvent(bench.message('x'));
    });

    step('Http: more than 256 KiB is too large', async () => {
        const device = await bench.newDevice();
        const client = await open(device);

        const error = await refusal(client.sendEvent(bench.message(Buffer.alloc(256 * 1024 + 1))));

        assert.equal(error.name, 'MessageTooLargeError');
        assert.deepEqual(await emulator.messages(device.deviceId), []);
    });

    step('Http: a settlement that comes too late is told so', async () => {
        const device = await bench.newDevice();
        await emulator.send(device.deviceId, { body: 'x', messageId: 'late' });
        const client = await open(device);
        await client.setOptions({ http: { receivePolicy: { interval: 1 } } });
        const message = await new Promise((resolve) => { client.on('message', resolve); });
        await client.complete(message);

        const error = await refusal(client.complete(message));

        assert.equal(error.response?.statusCode, 412);
    });

    step('Http: cut before the answer, and answered late', async () => {
        const device = await bench.newDevice();
        const client = await open(device);
        await emulator.fault('cut-after', { after: 1, store: true, device: device.deviceId });
        await client.sendEvent(bench.message('first'));
        await refusal(client.sendEvent(bench.message('cut')));
        await emulator.fault('delay', { ms: 700, device: device.deviceId });
        const started = Date.now();

        await client.sendEvent(bench.message('slow'));

        assert.ok(Date.now() - started >= 690);
        const bodies = (await emulator.messages(device.deviceId)).map(({ body }) => body);
        assert.deepEqual(bodies, ['first', 'cut', 'slow']);
    });

    step('Http: a black hole answers when it is gone', async () => {
        const device = await bench.newDevice();
        const client = await open(device);
        await emulator.fault('black-hole', { device: device.deviceId });
        let done = false;
        const sent = client.sendEvent(bench.message('swallowed')).then(() => { done = true; });
        await new Promise((resolve) => { setTimeout(resolve, 300); });
        assert.equal(done, false);
        assert.deepEqual(await emulator.messages(device.deviceId), []);

        await emulator.call('DELETE', '/faults');

        await sent;
        assert.equal((await emulator.messages(device.deviceId)).length, 1);
    });

    step('Http: a request does not disturb a live link', async () => {
        const device = await bench.newDevice();
        const mqtt = await bench.open(device.connectionString);
        let lost = false;
        mqtt.on('disconnect', () => { lost = true; });
        const client = await open(device);

        await client.sendEvent(bench.message('over HTTPS'));
        await mqtt.sendEvent(bench.message('over MQTT'));

        assert.equal(lost, false);
        assert.equal((await emulator.device(device.deviceId)).connectionState, 'Connected');
        const bodies = (await emulator.messages(device.deviceId)).map(({ body }) => body);
        assert.deepEqual(bodies, ['over HTTPS', 'over MQTT']);
    });
}
