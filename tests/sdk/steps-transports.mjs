// SPDX-License-Identifier: LGPL-2.1-or-later

// What has to be the same over every transport: telemetry alone and in batches, cloud messages and
// what a device makes of them, and who is let in.

import assert from 'node:assert/strict';

import { step } from './harness.mjs';

// What the SDK can do over each, which is less than the hub can. `settles`: the device's verdict
// reaches the hub, else it can only complete; `userId` is sent, or read, or neither.
export const transports = [
    { name: 'Mqtt', userId: 'sent and read' },
    { name: 'MqttWs', userId: 'sent and read' },
    { name: 'Amqp', settles: true, userId: 'neither' },
    { name: 'AmqpWs', settles: true, userId: 'neither' },
    { name: 'Http', settles: true, userId: 'sent', polls: true, batches: true },
];

// A client that gets cloud messages, by polling every second where nothing is pushed.
export async function openListener(bench, { name, polls }, connectionString, settle) {
    const client = bench.client(connectionString, { transport: bench.transports[name] });
    if (polls)
        await client.setOptions({ http: { receivePolicy: { interval: 1 } } });
    await client.open();
    client.on('message', (message) => {
        Promise.resolve(settle(client, message)).catch((error) => client.failures.push(error));
    });
    return client;
}

// What becomes of a first message, though clients tell of a refusal at different times.
export function firstSend(bench, client) {
    return client.open().then(() => client.sendEvent(bench.message('x'))).then(() => null, (error) => error);
}

export function addTransportSteps(bench) {
    const { emulator } = bench;

    for (const transport of transports) {
        const { name, settles, userId, batches } = transport;
        const open = async (device) => {
            const client = bench.client(device.connectionString, { transport: bench.transports[name] });
            await client.open();
            return client;
        };

        step(`${name}: a message arrives with all that is said of it`, async () => {
            const device = await bench.newDevice();
            const client = await open(device);
            const properties = { level: 'high', 'x-y_z.1': 'a/b & c = "d" %20?' };

            await client.sendEvent(bench.message('{"t":1}', {
                messageId: 'id-1', correlationId: 'c/2', userId: 'somebody', contentType: 'application/json',
                contentEncoding: 'utf-8', properties,
            }));

            const [stored] = await emulator.messages(device.deviceId);
            assert.equal(stored.body, '{"t":1}');
            assert.deepEqual(stored.properties, properties);
            const system = stored.systemProperties;
            assert.equal(system['message-id'], 'id-1');
            assert.equal(system['correlation-id'], 'c/2');
            assert.equal(system['user-id'], userId === 'neither' ? undefined : 'somebody');
            assert.equal(system['content-type'], 'application/json');
            assert.equal(system['content-encoding'], 'utf-8');
            assert.equal(JSON.parse(system['iothub-connection-auth-method']).type, 'sas');
        });

        step(`${name}: any bytes, and none`, async () => {
            const device = await bench.newDevice();
            const client = await open(device);
            const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

            await client.sendEvent(bench.message(bytes));
            await client.sendEvent(bench.message(''));

            const [binary, empty] = await emulator.messages(device.deviceId);
            assert.deepEqual(Buffer.from(binary.bodyBase64, 'base64'), bytes);
            assert.equal(empty.bodySize, 0);
        });

        if (batches) {
            step(`${name}: a batch arrives whole and in order`, async () => {
                const device = await bench.newDevice();
                const client = await open(device);
                const bodies = Array.from({ length: 50 }, (_, i) => `m-${i}`);

                await client.sendEventBatch(bodies.map((body, i) => bench.message(body, { properties: { i: `${i}` } })));

                const stored = await emulator.messages(device.deviceId);
                assert.deepEqual(stored.map(({ body }) => body), bodies);
                assert.deepEqual(stored.map(({ properties }) => properties.i), bodies.map((_, i) => `${i}`));
            });
        }

        step(`${name}: 200 KiB at once`, async () => {
            const device = await bench.newDevice();
            const client = await open(device);
            const body = Buffer.alloc(200 * 1024, 'x');

            await client.sendEvent(bench.message(body));

            assert.equal((await emulator.messages(device.deviceId))[0].bodySize, body.length);
        });

        step(`${name}: a cloud message is delivered and completed`, async () => {
            const device = await bench.newDevice();
            await emulator.send(device.deviceId, {
                body: '{"setPoint":19}', messageId: 'c2d-1', correlationId: 'c/2', userId: 'someone',
                ack: 'full', properties: { k: 'v 1' },
            });
            const got = [];
            await openListener(bench, transport, device.connectionString, (client, message) => {
                got.push(message);
                return client.complete(message);
            });

            await emulator.reaches(device.deviceId, 'c2d-1', 'Completed');

            const [message] = got;
            assert.equal(message.data.toString(), '{"setPoint":19}');
            assert.equal(message.messageId, 'c2d-1');
            assert.equal(message.correlationId, 'c/2');
            assert.equal(message.userId, userId === 'sent and read' ? 'someone' : '');
            const listed = Object.fromEntries(message.properties.propertyList.map(({ key, value }) => [key, value]));
            // This SDK leaves the prefix of the header in the name.
            assert.equal(name === 'Http' ? listed['iothub-app-k'] : listed.k, 'v 1');
        });

        if (settles) {
            step(`${name}: a cloud message is abandoned, comes again, and is rejected`, async () => {
                const device = await bench.newDevice();
                let deliveries = 0;
                await emulator.send(device.deviceId, { body: 'x', messageId: 'unwanted', ack: 'full' });

                await openListener(bench, transport, device.connectionString, (client, message) => {
                    deliveries++;
                    return deliveries === 1 ? client.abandon(message) : client.reject(message);
                });

                const fate = await emulator.reaches(device.deviceId, 'unwanted', 'DeadLettered');
                assert.equal(fate.reason, 'Rejected');
                assert.equal(fate.deliveryCount, 1);
                assert.equal(deliveries, 2);
            });
        }

        step(`${name}: wrong key, unknown and disabled device are refused`, async () => {
            const device = await bench.newDevice();
            const wrongKey = Buffer.alloc(32, 'w').toString('base64');
            const options = { transport: bench.transports[name] };

            const wrong = await firstSend(bench, bench.client(
                device.connectionString.replace(/SharedAccessKey=.*/, `SharedAccessKey=${wrongKey}`), options));
            assert.equal(wrong?.name, 'UnauthorizedError');
            const unknown = await firstSend(bench, bench.client(
                device.connectionString.replace(device.deviceId, 'nobody'), options));
            assert.ok(['UnauthorizedError', 'DeviceNotFoundError'].includes(unknown?.name), unknown?.name);
            await emulator.putDevice(device.deviceId, { status: 'disabled' });
            const disabled = await firstSend(bench, bench.client(device.connectionString, options));
            assert.ok(['UnauthorizedError', 'DeviceNotFoundError'].includes(disabled?.name), disabled?.name);
            assert.deepEqual(await emulator.messages(device.deviceId), []);
        });
    }
}
