#!/usr/bin/env node
// SPDX-License-Identifier: LGPL-2.1-or-later

// Microsoft's device SDK, unchanged, against iothub-emulator over TLS on the standard port:
//
//   telemetry-and-c2d.mjs EMULATOR MODULES-DIR [NAME]
//
// EMULATOR is the program, MODULES-DIR the folder with node_modules, NAME chooses the steps whose
// names contain it. Prints TAP; on failure the emulator's log too. The SDK speaks to port 8883 and
// no other, so that port has to be free.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Bench } from './bench.mjs';
import { Emulator, runSteps } from './harness.mjs';
import { addCloudToDeviceSteps } from './steps-c2d.mjs';
import { addConnectionSteps } from './steps-connection.mjs';
import { addTelemetrySteps } from './steps-telemetry.mjs';

const MQTT_PORT = 8883;
const LOG_LINES = 200;
const STATE_DIR = 'SPOKE_SDK_STATE_DIR'; // from the first run of this file to the second

function printLog(emulator) {
    const lines = readFileSync(emulator.log, 'utf8').split('\n').slice(-LOG_LINES);
    console.log(['the emulator\'s log:', ...lines].join('\n').replace(/^/gm, '# '));
}

// Node reads NODE_EXTRA_CA_CERTS once, at its start: so an emulator makes the authority, and this
// file runs again with it.
async function runTrusting(program) {
    const emulator = Emulator.inNewFolder(program, 0);
    try {
        await emulator.start();
        await emulator.stop();
        const child = spawn(process.execPath, process.argv.slice(1), {
            stdio: 'inherit',
            env: { ...process.env, NODE_EXTRA_CA_CERTS: emulator.caFile, [STATE_DIR]: emulator.stateDir },
        });
        return await new Promise((done) => child.on('exit', (code) => done(code ?? 1)));
    } catch (error) {
        console.log(`Bail out! ${error.message}`);
        printLog(emulator);
        await emulator.stop('SIGKILL');
        return 1;
    } finally {
        emulator.remove();
    }
}

async function runSdk(program, modulesDir, pattern) {
    const emulator = new Emulator(program, process.env[STATE_DIR], MQTT_PORT);
    let failed = 1;
    try {
        await emulator.start();
        const bench = new Bench(emulator, modulesDir);
        addTelemetrySteps(bench);
        addCloudToDeviceSteps(bench);
        addConnectionSteps(bench);
        failed = await runSteps(pattern, () => bench.tidy());
        const end = await emulator.stop();
        if (end.code !== 0) {
            console.log(`# the emulator ended with ${end.code ?? end.signal}`);
            failed++;
        }
    } catch (error) {
        console.log(`Bail out! ${error.message}`);
    } finally {
        if (failed)
            printLog(emulator);
        await emulator.stop('SIGKILL');
    }
    return failed ? 1 : 0;
}

const [program, modulesDir, pattern = ''] = process.argv.slice(2);
if (modulesDir === undefined) {
    console.error(`Usage: ${fileURLToPath(import.meta.url)} EMULATOR MODULES-DIR [NAME]`);
    process.exit(2);
}
process.exit(process.env[STATE_DIR] === undefined
    ? await runTrusting(resolve(program))
    : await runSdk(resolve(program), resolve(modulesDir), pattern));
