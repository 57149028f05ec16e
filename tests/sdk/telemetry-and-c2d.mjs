#!/usr/bin/env node
// SPDX-License-Identifier: LGPL-2.1-or-later

// Microsoft's device SDK, unchanged, against iothub-emulator over MQTT and TLS on the standard port:
//
//   telemetry-and-c2d.mjs EMULATOR MODULES-DIR [NAME]
//
// EMULATOR is the program, MODULES-DIR the folder with node_modules, NAME chooses the steps whose
// names contain it. Prints TAP; on failure the emulator's log too. The SDK speaks to port 8883 and
// no other, so that port has to be free.

import { runProgram } from './program.mjs';
import { addCloudToDeviceSteps } from './steps-c2d.mjs';
import { addConnectionSteps } from './steps-connection.mjs';
import { addTelemetrySteps } from './steps-telemetry.mjs';

await runProgram({ mqtt: 8883 }, addTelemetrySteps, addCloudToDeviceSteps, addConnectionSteps);
