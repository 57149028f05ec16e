// SPDX-License-Identifier: LGPL-2.1-or-later

// What the checks stand on: an emulator as a child process, its control API, and steps with a
// deadline that report in TAP. Only what Node 18 has.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, watch } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const START_MS = 20000;
const STEP_MS = 30000;

export function sleep(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

// The promise, or an error once the time is over.
export function within(ms, what, promise) {
    let timer;
    const timeout = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: nothing after ${ms} ms`)), ms);
    });
    return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

// Asks until the answer is true, for states that the API tells only when asked.
export async function until(what, ask, ms = 10000) {
    const end = Date.now() + ms;
    for (;;) {
        const answer = await ask();
        if (answer)
            return answer;
        if (Date.now() > end)
            throw new Error(`${what}: not so after ${ms} ms`);
        await sleep(50);
    }
}

// Ports for devices, by protocol, as { mqtt, amqp, https }: those not named are any free ones.
export class Emulator {
    constructor(program, stateDir, ports = {}) {
        this.program = program;
        this.stateDir = stateDir;
        this.ports = ports;
        this.host = 'localhost'; // the name it gives itself
        this.log = join(stateDir, 'log');
    }

    static inNewFolder(program, ports) {
        return new Emulator(program, mkdtempSync(join(tmpdir(), 'spoke-sdk-')), ports);
    }

    get caFile() {
        return join(this.stateDir, 'ca.pem');
    }

    async start(...options) {
        const ready = join(this.stateDir, 'ready');
        rmSync(ready, { force: true });
        const watcher = watch(this.stateDir);
        const log = openSync(this.log, 'a');
        const ports = ['mqtt', 'amqp', 'https'].flatMap((name) => [`--${name}-port`, this.ports[name] ?? 0]);
        this.child = spawn(this.program, ['--state-dir', this.stateDir, ...ports, '--control-port', '0',
            '--ready-file', ready, ...options], { stdio: ['ignore', log, log] });
        closeSync(log);
        this.ended = new Promise((resolve, reject) => {
            this.child.on('error', reject);
            this.child.on('exit', (code, signal) => resolve({ code, signal }));
        });

        // Renamed into place, so one event says it is complete.
        const appeared = new Promise((resolve) => {
            watcher.on('change', (_, name) => name === 'ready' && resolve());
        });
        try {
            const end = await within(START_MS, 'the emulator\'s start', Promise.race([appeared, this.ended]));
            if (end)
                throw new Error(`the emulator ended at its start with ${end.code ?? end.signal}`);
        } finally {
            watcher.close();
        }
        this.controlPort = JSON.parse(readFileSync(ready, 'utf8')).controlPort;
    }

    async stop(signal = 'SIGTERM') {
        if (this.child.exitCode !== null || this.child.signalCode !== null)
            return this.ended;
        this.child.kill(signal);
        return within(START_MS, `the emulator's end after ${signal}`, this.ended);
    }

    remove() {
        rmSync(this.stateDir, { recursive: true, force: true });
    }

    // One call of the control API: { status, answer }.
    async ask(method, path, body, headers = {}) {
        const request = http.request({ host: '127.0.0.1', port: this.controlPort, method, path, agent: false, headers });
        request.end(body === undefined ? undefined : JSON.stringify(body));
        const [response] = await within(10000, `${method} ${path}`, once(request, 'response'));
        const parts = [];
        for await (const part of response)
            parts.push(part);
        const text = Buffer.concat(parts).toString();
        return { status: response.statusCode, answer: text === '' ? null : JSON.parse(text) };
    }

    // The same for calls that have to succeed: the answer alone.
    async call(method, path, body) {
        const { status, answer } = await this.ask(method, path, body);
        if (status >= 300)
            throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
        return answer;
    }

    device(id) {
        return this.call('GET', `/devices/${encodeURIComponent(id)}`);
    }

    putDevice(id, settings = {}) {
        return this.call('PUT', `/devices/${encodeURIComponent(id)}`, settings);
    }

    messages(id) {
        return this.call('GET', `/messages?device=${encodeURIComponent(id)}&limit=10000`);
    }

    send(id, message) {
        return this.call('POST', `/devices/${encodeURIComponent(id)}/messages`, message);
    }

    fate(id, messageId) {
        return this.call('GET', `/devices/${encodeURIComponent(id)}/messages/${encodeURIComponent(messageId)}`);
    }

    reaches(id, messageId, state) {
        return until(`${messageId} ${state}`, async () => {
            const fate = await this.fate(id, messageId);
            return fate.state === state && fate;
        });
    }

    fault(kind, settings = {}) {
        return this.call('POST', '/faults', { kind, ...settings });
    }

    stats() {
        return this.call('GET', '/stats');
    }
}

const steps = [];

export function step(name, run, ms = STEP_MS) {
    steps.push({ name, run, ms });
}

function report(number, name, error) {
    console.log(`${error ? 'not ok' : 'ok'} ${number} - ${name}`);
    if (error)
        console.log(`${error.stack ?? error}`.replace(/^/gm, '# '));
}

// Runs the steps whose names contain `pattern`, one after the other. Returns { chosen, failed }: how
// many there were, and how many of them failed.
export async function runSteps(pattern, afterEach) {
    const chosen = steps.filter(({ name }) => name.includes(pattern));
    let failed = 0;
    console.log(`1..${chosen.length}`);
    for (const [index, { name, run, ms }] of chosen.entries()) {
        let error;
        try {
            await within(ms, name, run());
        } catch (problem) {
            error = problem ?? new Error('failed without an error');
            failed++;
        }
        report(index + 1, name, error);
        await afterEach().catch((problem) => console.log(`# afterwards: ${problem.stack}`));
    }
    if (chosen.length === 0)
        console.log(`# no step is named like "${pattern}"`);
    console.log(`# ${chosen.length - failed} passed, ${failed} failed`);
    return { chosen: chosen.length, failed };
}
