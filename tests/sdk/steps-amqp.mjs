// SPDX-License-Identifier: LGPL-2.1-or-later

// What the SDK does over AMQP and nowhere else: it renews its token on the open connection.

import assert from 'node:assert/strict';

import { sleep, step } from './harness.mjs';

export function addAmqpSteps(bench) {
    const { emulator } = bench;

    for (const name of ['Amqp', 'AmqpWs']) {
        const open = async (device, settings) => {
            const client = bench.client(device.connectionString, { retry: true, transport: bench.transports[name] });
            await client.setOptions(settings);
            await client.open();
            return client;
        };

        step(`${name}: the SDK renews its token without a new connection`, async () => {
            const device = await bench.newDevice();
            const client = await open(device, {
                tokenRenewal: { tokenValidTimeInSeconds: 4, tokenRenewalMarginInSeconds: 2 },
            });
            const received = bench.receive(client, 2, 25000);
            await emulator.send(device.deviceId, { body: 'x', messageId: 'before' });
            await emulator.reaches(device.deviceId, 'before', 'Completed');
            const before = await emulator.stats();

            const ids = [];
            const end = Date.now() + 7000;
            while (Date.now() < end) {
                ids.push(`m-${ids.length}`);
                await client.sendEvent(bench.message('x', { messageId: ids[ids.length - 1] }));
                await sleep(20);
            }
            await emulator.send(device.deviceId, { body: 'x', messageId: 'after' });
            await received;

            const after = await emulator.stats();
            assert.equal(after.connectionsAccepted, before.connectionsAccepted);
            const stored = (await emulator.messages(device.deviceId))
                .map((message) => message.systemProperties['message-id']);
            assert.deepEqual(stored, ids);
            assert.deepEqual(client.failures, []);
        });

        step(`${name}: after a dropped connection the SDK is back`, async () => {
            const device = await bench.newDevice();
            const client = await open(device, {});
            const received = bench.receive(client, 2);
            await emulator.send(device.deviceId, { body: 'x', messageId: 'before' });
            await emulator.reaches(device.deviceId, 'before', 'Completed');

            await emulator.fault('drop', { device: device.deviceId });
            await emulator.send(device.deviceId, { body: 'x', messageId: 'after' });

            const messages = await received;
            assert.deepEqual(messages.map(({ messageId }) => messageId), ['before', 'after']);
            await client.sendEvent(bench.message('back'));
            assert.equal((await emulator.messages(device.deviceId)).length, 1);
        });
    }
}
