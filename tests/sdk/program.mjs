// SPDX-License-Identifier: LGPL-2.1-or-later

// What the programs of this folder have in common: an emulator on the ports that the SDK knows, a
// Node that trusts it, steps, and the emulator's log on failure.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { Bench } from './bench.mjs';
import { Emulator, runSteps } from './harness.mjs';

const LOG_LINES = 200;
const NO_STEPS = 3; // exit status: there are none of that name
const STATE_DIR = 'SPOKE_SDK_STATE_DIR'; // from the first run of a program to the second

function printLog(emulator) {
    const lines = readFileSync(emulator.log, 'utf8').split('\n').slice(-LOG_LINES);
    console.log(['the emulator\'s log:', ...lines].join('\n').replace(/^/gm, '# '));
}

// Node reads NODE_EXTRA_CA_CERTS once, at its start: so an emulator makes the authority, and the
// program runs again with it.
async function runTrusting(program) {
    const emulator = Emulator.inNewFolder(program);
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

async function runSdk(program, modulesDir, pattern, ports, addSteps) {
    const emulator = new Emulator(program, process.env[STATE_DIR], ports);
    let chosen = 0;
    let failed = 1;
    try {
        await emulator.start();
        const bench = new Bench(emulator, modulesDir);
        for (const add of addSteps)
            add(bench);
        ({ chosen, failed } = await runSteps(pattern, () => bench.tidy()));
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
    return failed ? 1 : chosen ? 0 : NO_STEPS;
}

// A whole program, called as: PROGRAM EMULATOR MODULES-DIR [NAME]. `ports` is for Emulator, each of
// `addSteps` gets the bench. Ends the process.
export async function runProgram(ports, ...addSteps) {
    const [program, modulesDir, pattern = ''] = process.argv.slice(2);
    if (modulesDir === undefined) {
        console.error(`Usage: ${process.argv[1]} EMULATOR MODULES-DIR [NAME]`);
        process.exit(2);
    }
    process.exit(process.env[STATE_DIR] === undefined
        ? await runTrusting(resolve(program))
        : await runSdk(resolve(program), resolve(modulesDir), pattern, ports, addSteps));
}
