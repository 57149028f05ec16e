// SPDX-License-Identifier: LGPL-2.1-or-later

// Who gets in, who is put out, and how the SDK comes back.

import assert from 'node:assert/strict';

import { nowSec, sasToken } from './bench.mjs';
import { sleep, step, until } from './harness.mjs';

export function addConnectionSteps(bench) {
    const { emulator } = bench;

    // The SDK words every failure of a first connect as "Not authorized", so the hub's own
    // counters have to agree.
    async function isUnauthorized(client) {
        const before = (await emulator.stats()).connectsRefused['5'] ?? 0;
        const error = await bench.refusal(client);
        assert.equal(error.name, 'UnauthorizedError');
        assert.match(error.message, /Connection refused: Not authorized/);
        assert.equal((await emulator.stats()).connectsRefused['5'], before + 1);
    }

    function resourceOf(device) {
        return `${emulator.host}/devices/${device.deviceId}`;
    }

    step('connect: wrong key, unknown and disabled device are refused', async () => {
        const device = await bench.newDevice();
        const wrongKey = Buffer.alloc(32, 'w').toString('base64');

        await isUnauthorized(bench.client(device.connectionString.replace(/SharedAccessKey=.*/, `SharedAccessKey=${wrongKey}`)));
        await isUnauthorized(bench.client(device.connectionString.replace(device.deviceId, 'nobody')));
        await emulator.putDevice(device.deviceId, { status: 'disabled' });
        await isUnauthorized(bench.client(device.connectionString));
        await emulator.putDevice(device.deviceId, { status: 'enabled' });
        await bench.open(device.connectionString);
    });

    step('connect: the secondary key is as good as the primary', async () => {
        const device = await bench.newDevice();

        await bench.open(device.connectionString.replace(device.primaryKey, device.secondaryKey));
    });

    step('connect: tokens that are expired, foreign or for another hub are refused', async () => {
        const device = await bench.newDevice('dev-of');
        const other = await bench.newDevice();
        const key = device.primaryKey;
        const soon = nowSec() + 300;

        await isUnauthorized(bench.clientWithToken(sasToken(resourceOf(device), key, nowSec() - 1)));
        await isUnauthorized(bench.clientWithToken(sasToken(resourceOf(other), key, soon)));
        await isUnauthorized(bench.clientWithCredentials({ host: emulator.host, deviceId: other.deviceId,
            sharedAccessSignature: sasToken(resourceOf(device), key, soon) }));
        const otherHub = `elsewhere.azure-devices.net/devices/${device.deviceId}`;
        await isUnauthorized(bench.clientWithCredentials({ host: emulator.host, deviceId: device.deviceId,
            sharedAccessSignature: sasToken(otherHub, key, soon) }));
        const good = bench.clientWithToken(sasToken(resourceOf(device), key, soon));
        await good.open();
    });

    step('connect: disabling and deleting a device ends its connection', async () => {
        for (const end of [
            (id) => emulator.putDevice(id, { status: 'disabled' }),
            (id) => emulator.call('DELETE', `/devices/${id}`),
        ]) {
            const device = await bench.newDevice();
            const client = await bench.open(device.connectionString);
            const lost = bench.disconnected(client);

            await end(device.deviceId);

            await lost;
            await isUnauthorized(bench.client(device.connectionString));
        }
    });

    step('connect: the newer client of an identity evicts the older', async () => {
        const device = await bench.newDevice();
        const older = await bench.open(device.connectionString);
        await older.sendEvent(bench.message('older'));
        const lost = bench.disconnected(older);
        const { evicted } = await emulator.stats();

        const newer = await bench.open(device.connectionString);

        await lost;
        await newer.sendEvent(bench.message('newer'));
        assert.equal((await emulator.stats()).evicted, evicted + 1);
        assert.equal((await emulator.device(device.deviceId)).connectionState, 'Connected');
        const bodies = (await emulator.messages(device.deviceId)).map(({ body }) => body);
        assert.deepEqual(bodies, ['older', 'newer']);
    });

    step('connect: "unavailable" is tried again until it is over', async () => {
        const device = await bench.newDevice();
        await emulator.fault('refuse', { code: 3, count: 3, device: device.deviceId });
        const before = (await emulator.stats()).connectsRefused['3'] ?? 0;

        await bench.open(device.connectionString, { retry: true });

        assert.equal((await emulator.stats()).connectsRefused['3'], before + 3);
    });

    step('connect: twins are refused by name, methods can be subscribed to', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);
        client.onDeviceMethod('reboot', () => {});

        const error = await client.getTwin().then(() => null, (problem) => problem);

        assert.match(`${error?.message} ${error?.responseBody}`, /501|not keep twins/);
        await client.sendEvent(bench.message('still connected'));
        assert.deepEqual(client.failures, []);
    });

    step('connect: closing says good-bye', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString);
        assert.equal((await emulator.device(device.deviceId)).connectionState, 'Connected');

        await client.close();

        await until('Disconnected', async () =>
            (await emulator.device(device.deviceId)).connectionState === 'Disconnected');
    });

    step('control API: no web page gets in', async () => {
        assert.equal((await emulator.ask('GET', '/devices')).status, 200);
        for (const headers of [{ host: 'page.example' }, { origin: 'http://page.example' }])
            assert.equal((await emulator.ask('GET', '/devices', undefined, headers)).status, 403);
    });

    step('keep-alive: pings hold an idle connection', async () => {
        const device = await bench.newDevice();
        const client = bench.client(device.connectionString);
        await client.setOptions({ keepalive: 1 });
        await client.open();
        let lost = false;
        client.on('disconnect', () => { lost = true; });

        await sleep(5000);

        assert.equal(lost, false);
        await client.sendEvent(bench.message('still here'));
    });

    step('renewal: the SDK renews its token; nothing is lost and cloud messages go on', async () => {
        const device = await bench.newDevice();
        const client = bench.client(device.connectionString, { retry: true });
        await client.setOptions({ tokenRenewal: { tokenValidTimeInSeconds: 4, tokenRenewalMarginInSeconds: 2 } });
        await client.open();
        const received = bench.receive(client, 2, 25000);
        await emulator.send(device.deviceId, { body: 'before', messageId: 'before' });
        await emulator.reaches(device.deviceId, 'before', 'Completed');
        const { connectionsAccepted, connectsRefused } = await emulator.stats();

        const ids = [];
        const end = Date.now() + 7000;
        while (Date.now() < end) {
            ids.push(`m-${ids.length}`);
            await client.sendEvent(bench.message('x', { messageId: ids[ids.length - 1] }));
            await sleep(20);
        }
        // The SDK does not subscribe again after a renewal: the session has kept it.
        await emulator.send(device.deviceId, { body: 'after', messageId: 'after' });
        await received;

        const stats = await emulator.stats();
        assert.ok(stats.connectionsAccepted >= connectionsAccepted + 3, 'three renewals in seven seconds');
        assert.deepEqual(stats.connectsRefused, connectsRefused);
        const stored = new Set((await emulator.messages(device.deviceId))
            .map((message) => message.systemProperties['message-id']));
        assert.deepEqual(ids.filter((id) => !stored.has(id)), []);
        assert.deepEqual(client.failures, []);
    });

    step('renewal: a ready-made token ends the connection when it ends, and a new one opens it', async () => {
        const device = await bench.newDevice();
        const expirySec = nowSec() + 3;
        const client = bench.clientWithToken(sasToken(resourceOf(device), device.primaryKey, expirySec));
        await client.open();
        await client.sendEvent(bench.message('in time'));

        await bench.disconnected(client);

        assert.ok(Date.now() >= expirySec * 1000, 'not before its time');
        assert.ok(Date.now() < (expirySec + 3) * 1000, 'and at once');
        await client.updateSharedAccessSignature(sasToken(resourceOf(device), device.primaryKey, nowSec() + 300));
        await client.sendEvent(bench.message('renewed'));
        const bodies = (await emulator.messages(device.deviceId)).map(({ body }) => body);
        assert.deepEqual(bodies, ['in time', 'renewed']);
    });

    step('recovery: after a dropped connection the SDK is back with its subscription', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString, { retry: true });
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

    step('recovery: a throttled client gets everything through', async () => {
        const device = await bench.newDevice();
        const client = await bench.open(device.connectionString, { retry: true });
        await emulator.fault('throttle', { rate: 20, device: device.deviceId });
        const ids = Array.from({ length: 60 }, (_, i) => `m-${i}`);

        for (const messageId of ids)
            await client.sendEvent(bench.message('x', { messageId }));

        const stored = await emulator.messages(device.deviceId);
        assert.deepEqual([...new Set(stored.map((message) => message.systemProperties['message-id']))], ids);
        const [fault] = await emulator.call('GET', '/faults');
        assert.ok(fault.strikes > 0, 'it was throttled');
    });

    step('recovery: a killed hub comes back with its devices and its queue', async () => {
        const device = await bench.newDevice();
        const offline = await bench.newDevice();
        const client = await bench.open(device.connectionString, { retry: true });
        const received = bench.receive(client, 2);
        await emulator.send(offline.deviceId, { body: 'x', messageId: 'survivor' });
        // The SDK has to be idle when it is cut off: it takes a reset for the end and gives up.
        await emulator.send(device.deviceId, { body: 'x', messageId: 'before' });
        await emulator.reaches(device.deviceId, 'before', 'Completed');

        await emulator.stop('SIGKILL');
        const sent = client.sendEvent(bench.message('while it was away', { messageId: 'patient' }));
        await emulator.start();
        await emulator.send(device.deviceId, { body: 'x', messageId: 'after' });

        await sent;
        assert.deepEqual((await received).map(({ messageId }) => messageId), ['before', 'after']);
        const stored = await emulator.messages(device.deviceId);
        assert.ok(stored.some((message) => message.systemProperties['message-id'] === 'patient'));
        const [survivor] = await bench.receive(await bench.open(offline.connectionString), 1);
        assert.equal(survivor.messageId, 'survivor');
        await emulator.reaches(offline.deviceId, 'survivor', 'Completed');
    }, 60000);
}
