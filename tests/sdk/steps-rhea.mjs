// SPDX-License-Identifier: LGPL-2.1-or-later

// AMQP by rhea alone, a client of neither Microsoft's nor Proton's making: what the SDK leaves out
// (SASL, batches, credit by hand, several devices on one connection), and how the hub says no.

import assert from 'node:assert/strict';
import { once } from 'node:events';

import { nowSec, sasToken } from './bench.mjs';
import { step, until, within } from './harness.mjs';

const BATCH_FORMAT = 0x80013700;

function eventsOf(device) {
    return `/devices/${device.deviceId}/messages/events`;
}

function deviceBoundOf(device) {
    return `/devices/${device.deviceId}/messages/devicebound`;
}

// What happens next to a link, a delivery or a connection, whichever of the events it is.
function next(emitter, ...names) {
    const events = names.map((name) => once(emitter, name).then(([context]) => ({ name, ...context })));
    return within(10000, names.join(' or '), Promise.race(events));
}

class RheaDevice {
    constructor(bench, options = {}) {
        this.rhea = bench.rhea;
        this.host = bench.emulator.host;
        this.connection = bench.rhea.create_container().connect({
            host: this.host, port: 5671, transport: 'tls', servername: this.host, reconnect: false, ...options,
        });
        // Without a listener, events that tell of an end would be thrown.
        for (const name of ['connection_error', 'connection_close', 'disconnected', 'sender_error', 'receiver_error'])
            this.connection.on(name, () => {});
        bench.clients.push({ removeAllListeners() {}, close: async () => this.connection.close() });
    }

    opened() {
        return next(this.connection, 'connection_open', 'connection_error', 'disconnected');
    }

    // Puts a token for a device: the status code.
    async putToken(device, settings = {}) {
        const resource = `${this.host}/devices/${device.deviceId}`;
        this.cbs ??= { sender: this.connection.open_sender('$cbs'), receiver: this.connection.open_receiver('$cbs') };
        const answer = next(this.cbs.receiver, 'message');
        this.cbs.sender.send({
            message_id: 'a string',
            application_properties: {
                operation: 'put-token', type: 'servicebus.windows.net:sastoken', name: resource,
            },
            body: sasToken(resource, device.primaryKey, nowSec() + 3600),
            ...settings,
        });
        const { message } = await answer;
        assert.equal(message.correlation_id, 'a string');
        return message.application_properties['status-code'];
    }

    async attach(open, address) {
        const link = this.connection[open](address);
        const kind = open.replace('open_', '');
        // A refusal is an answer and its withdrawal, both in one piece.
        const { name } = await next(link, `${kind}_open`);
        assert.equal(name, `${kind}_open`);
        return link;
    }

    async send(sender, ...message) {
        const outcome = next(sender, 'accepted', 'rejected', 'released', 'sender_close');
        sender.send(...message);
        const { name, delivery } = await outcome;
        return name === 'rejected' ? delivery.remote_state.error.condition : name;
    }
}

export function addRheaSteps(bench) {
    const { emulator } = bench;

    step('rhea: a token over $cbs lets in, and telemetry arrives', async () => {
        const device = await bench.newDevice();
        const peer = new RheaDevice(bench);
        assert.equal((await peer.opened()).name, 'connection_open');
        assert.match(peer.connection.remote.open.container_id, /^DeviceGateway_[0-9a-f]{32}$/);
        assert.equal(await peer.putToken(device), 200);
        const sender = await peer.attach('open_sender', eventsOf(device));

        assert.equal(await peer.send(sender, {
            message_id: 'id-1', content_type: 'application/json', content_encoding: 'utf-8',
            application_properties: { 'k ey': 'v=\u00e9', n: 3 },
            message_annotations: { 'dt-subject': 'part' },
            body: bench.rhea.message.data_section(Buffer.from('{}')),
        }), 'accepted');

        const [stored] = await emulator.messages(device.deviceId);
        assert.equal(stored.body, '{}');
        assert.deepEqual(stored.properties, { 'k ey': 'v=\u00e9', n: '3' });
        assert.equal(stored.systemProperties['message-id'], 'id-1');
        assert.equal(stored.systemProperties['dt-subject'], 'part');
    });

    step('rhea: a token as password of SASL PLAIN is one device\'s own', async () => {
        const device = await bench.newDevice();
        const other = await bench.newDevice();
        const password = sasToken(`${emulator.host}/devices/${device.deviceId}`, device.primaryKey, nowSec() + 3600);
        const peer = new RheaDevice(bench, { username: `${device.deviceId}@sas.${emulator.host}`, password });
        assert.equal((await peer.opened()).name, 'connection_open');
        const sender = await peer.attach('open_sender', eventsOf(device));

        assert.equal(await peer.send(sender, { body: 'x' }), 'accepted');

        const refused = peer.connection.open_sender(eventsOf(other));
        await next(refused, 'sender_error');
        assert.equal(refused.error.condition, 'amqp:unauthorized-access');
        const wrong = new RheaDevice(bench, { username: `${other.deviceId}@sas.${emulator.host}`, password });
        assert.notEqual((await wrong.opened()).name, 'connection_open');
    });

    step('rhea: a certificate with SASL EXTERNAL is one device\'s own', async () => {
        const [device, other] = [await bench.newDevice(), await bench.newDevice()];
        const { certificate, key } = await emulator.call('POST', `/devices/${device.deviceId}/certificate`, {
            type: 'selfSigned',
        });
        const peer = new RheaDevice(bench, { cert: certificate, key, enable_sasl_external: true });
        assert.equal((await peer.opened()).name, 'connection_open');
        const sender = await peer.attach('open_sender', eventsOf(device));

        assert.equal(await peer.send(sender, { body: 'x' }), 'accepted');

        const refused = peer.connection.open_sender(eventsOf(other));
        await next(refused, 'sender_error');
        assert.equal(refused.error.condition, 'amqp:unauthorized-access');
    });

    step('rhea: a batch is one transfer and many messages', async () => {
        const device = await bench.newDevice();
        const peer = new RheaDevice(bench);
        assert.equal(await peer.putToken(device), 200);
        const sender = await peer.attach('open_sender', eventsOf(device));
        const bodies = Array.from({ length: 500 }, (_, i) => `message ${i}`);
        const { encode, data_section: section, data_sections: sections } = bench.rhea.message;
        const batch = encode({
            body: sections(bodies.map((body, i) => encode({
                message_id: `id-${i}`, application_properties: { i: `${i}` }, body: section(Buffer.from(body)),
            }))),
        });

        assert.equal(await peer.send(sender, batch, undefined, BATCH_FORMAT), 'accepted');

        const stored = await emulator.messages(device.deviceId);
        assert.deepEqual(stored.map(({ body }) => body), bodies);
        assert.deepEqual(stored.map(({ properties }) => properties.i), bodies.map((_, i) => `${i}`));
    });

    step('rhea: two devices share a connection, and only theirs', async () => {
        const devices = [await bench.newDevice(), await bench.newDevice()];
        const stranger = await bench.newDevice();
        const peer = new RheaDevice(bench);
        for (const device of devices)
            assert.equal(await peer.putToken(device), 200);

        for (const device of devices) {
            const sender = await peer.attach('open_sender', eventsOf(device));
            assert.equal(await peer.send(sender, { body: device.deviceId }), 'accepted');
        }

        for (const device of devices)
            assert.equal((await emulator.messages(device.deviceId))[0].body, device.deviceId);
        const refused = peer.connection.open_sender(eventsOf(stranger));
        await next(refused, 'sender_error');
        assert.equal(refused.error.condition, 'amqp:unauthorized-access');
    });

    step('rhea: a newer connection takes one device over and leaves the other', async () => {
        const [wanted, left] = [await bench.newDevice(), await bench.newDevice()];
        const older = new RheaDevice(bench);
        for (const device of [wanted, left])
            assert.equal(await older.putToken(device), 200);
        const taken = await older.attach('open_sender', eventsOf(wanted));
        const kept = await older.attach('open_sender', eventsOf(left));
        const newer = new RheaDevice(bench);
        assert.equal(await newer.putToken(wanted), 200);

        const stolen = next(taken, 'sender_error');
        await newer.attach('open_sender', eventsOf(wanted));

        await stolen;
        assert.equal(taken.error.condition, 'amqp:link:stolen');
        assert.equal(await older.send(kept, { body: 'x' }), 'accepted');
    });

    step('rhea: credit is respected, and every outcome settles', async () => {
        const device = await bench.newDevice();
        const peer = new RheaDevice(bench);
        assert.equal(await peer.putToken(device), 200);
        const receiver = peer.connection.open_receiver({
            source: deviceBoundOf(device), credit_window: 0, autoaccept: false, autosettle: false,
        });
        for (const messageId of ['done', 'wrong', 'later'])
            await emulator.send(device.deviceId, { body: messageId, messageId, properties: { k: 'v' } });
        const take = async () => {
            const arrival = next(receiver, 'message');
            receiver.add_credit(1);
            return arrival;
        };

        const done = await take();
        assert.equal((await emulator.fate(device.deviceId, 'wrong')).state, 'Enqueued');
        done.delivery.accept();
        (await take()).delivery.reject({ condition: 'Rejected by application' });
        const later = await take();
        later.delivery.release();
        const again = await take();

        assert.equal(Buffer.from(done.message.body.content).toString(), 'done');
        assert.deepEqual(done.message.application_properties, { k: 'v' });
        assert.equal(done.message.message_annotations['iothub-deliverycount'], 0);
        assert.equal(done.delivery.tag.length, 16);
        assert.equal(again.message.message_id, 'later');
        assert.equal(again.message.message_annotations['iothub-deliverycount'], 1);
        await emulator.reaches(device.deviceId, 'done', 'Completed');
        await emulator.reaches(device.deviceId, 'wrong', 'DeadLettered');
        again.delivery.modified({ delivery_failed: true });
        const { deliveryCount } = await until('the second count', async () => {
            const fate = await emulator.fate(device.deviceId, 'later');
            return fate.deliveryCount === 2 && fate;
        });
        assert.equal(deliveryCount, 2);
    });

    step('rhea: what is too large or too much is rejected, and the link stays', async () => {
        const device = await bench.newDevice();
        const peer = new RheaDevice(bench);
        assert.equal(await peer.putToken(device), 200);
        const sender = await peer.attach('open_sender', eventsOf(device));
        const body = bench.rhea.message.data_section(Buffer.alloc(256 * 1024 + 1));

        assert.equal(await peer.send(sender, { body }), 'amqp:link:message-size-exceeded');
        await emulator.fault('quota', { device: device.deviceId });
        assert.equal(await peer.send(sender, { body: 'x' }), 'amqp:resource-limit-exceeded');
        await emulator.call('DELETE', '/faults');

        assert.equal(await peer.send(sender, { body: 'x' }), 'accepted');
    });
}
