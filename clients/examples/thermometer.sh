#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Telemetry and cloud-to-device messages with systemd's busctl alone. Sends a temperature, then
# takes messages from the cloud until none came for a while. (spokectl does all this with less.)
# The emulator sends one so: iothub-emulator ctl send DEVICE "open the window"
set -eu

device=(org.spoked1 /org/spoked1/device/self org.spoked1.Device)

# Body, one app property, two options; prints the message's number: "t 17"
send() {
    busctl call "${device[@]}" SendText 'sa{ss}a{sv}' "$1" \
        1 sensor attic \
        2 content-type s application/json content-encoding s utf-8
}

# Waits until the hub has everything, 10 s at most; prints what is left: "t 0"
flush() {
    busctl call --timeout=15 "${device[@]}" Flush t 10000
}

# Takes a message, locked for 30 s. busctl prints
#   saya{ss}a{sv} "17" 5 104 101 108 108 111 1 "room" "kitchen" 3 …
# of which the first words are enough: the id, the length of the body, its bytes.
receive() {
    local reply
    reply=$(busctl call --timeout=$(($1 + 5)) "${device[@]}" Receive 'ta{sv}' $(($1 * 1000)) \
        1 lock t 30000) || return
    local words byte hex=
    read -ra words <<<"$reply"
    id=${words[1]//\"/}
    for byte in "${words[@]:3:words[2]}"; do
        printf -v hex '%s\\x%02x' "$hex" "$byte"
    done
    printf -v body '%b' "$hex"
}

send '{"celsius": 21.5}'
flush

echo "Waiting for messages, ${1:-60} s for each"
while receive "${1:-60}"; do
    echo "The cloud says: $body"
    busctl call "${device[@]}" Complete s "$id"
done
