// SPDX-License-Identifier: LGPL-2.1-or-later

// X.509 over every transport: by thumbprint and by authority, and what does not get in.

import assert from 'node:assert/strict';

import { step } from './harness.mjs';
import { firstSend, transports } from './steps-transports.mjs';

export function addCertificateSteps(bench) {
    const { emulator } = bench;

    // A device with a certificate of its own: { deviceId, connectionString, cert, key }.
    async function newDevice(type, settings = {}) {
        const { deviceId } = await bench.newDevice('x509');
        const issued = await emulator.call('POST', `/devices/${deviceId}/certificate`, { type, ...settings });
        return { deviceId, connectionString: issued.connectionString, cert: issued.certificate, key: issued.key };
    }

    for (const { name } of transports) {
        const transport = bench.transports[name];
        // Over HTTPS the SDK sets these options at once and then tells nobody: don't wait for it.
        const clientOf = (connectionString, certificate) => {
            const client = bench.client(connectionString, { transport });
            if (certificate)
                client.setOptions({ cert: certificate.cert, key: certificate.key });
            return client;
        };

        for (const type of ['selfSigned', 'certificateAuthority']) {
            step(`${name}, X.509: a certificate opens the door (${type})`, async () => {
                const device = await newDevice(type);
                assert.match(device.connectionString, /;x509=true$/);
                const client = clientOf(device.connectionString, device);

                assert.equal(await firstSend(bench, client), null);

                const [stored] = await emulator.messages(device.deviceId);
                assert.equal(JSON.parse(stored.systemProperties['iothub-connection-auth-method']).type, 'x509');
            });
        }

        step(`${name}, X.509: another's, an expired one, or a token do not`, async () => {
            const device = await newDevice('selfSigned');
            const other = await newDevice('selfSigned');
            const expired = await newDevice('selfSigned', { days: -1 });
            const signed = await newDevice('certificateAuthority');
            const otherSigned = await newDevice('certificateAuthority');
            const key = Buffer.alloc(32, 'k').toString('base64');

            for (const [connectionString, certificate] of [
                [device.connectionString, other],
                [expired.connectionString, expired],
                [signed.connectionString, otherSigned],
                [device.connectionString.replace('x509=true', `SharedAccessKey=${key}`), null],
            ]) {
                const error = await firstSend(bench, clientOf(connectionString, certificate));
                assert.equal(error?.name, 'UnauthorizedError', `${connectionString}: ${error}`);
            }
            assert.deepEqual(await emulator.messages(device.deviceId), []);
        });
    }
}
