#!/usr/bin/env node
// SPDX-License-Identifier: LGPL-2.1-or-later

// Microsoft's device SDK, unchanged, against iothub-emulator over each of its five transports, and
// rhea over AMQP:
//
//   all-transports.mjs EMULATOR MODULES-DIR [NAME]
//
// Called and reporting as telemetry-and-c2d.mjs. Ports 8883, 5671 and 443 have to be free.

import { runProgram } from './program.mjs';
import { addAmqpSteps } from './steps-amqp.mjs';
import { addCertificateSteps } from './steps-certificates.mjs';
import { addHttpSteps } from './steps-http.mjs';
import { addRheaSteps } from './steps-rhea.mjs';
import { addTransportSteps } from './steps-transports.mjs';

await runProgram({ mqtt: 8883, amqp: 5671, https: 443 },
    addTransportSteps, addHttpSteps, addCertificateSteps, addAmqpSteps, addRheaSteps);
