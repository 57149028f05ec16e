#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A gateway: sends for devices that have no way to the hub of their own. The connection string of
# each is in a folder, KEYS/NAME; all share the machine's connection (Transport=amqp in spoked.conf).
#
#     read-the-field-bus | gateway.sh /etc/gateway/keys
#
# A line of standard input is a device's name and its reading: boiler {"celsius":71.5}. For root.
# Exit status 1 if any reading was not taken.
#
# What the cloud has for a device, 'spokectl listen --device boiler' gets; with the emulator, it is
#     iothub-emulator ctl send boiler "close the valve"
set -eu

keys=${1:?Where are the connection strings?}

# Has spoked speak for the device, unless it does already.
add() {
    [[ $1 =~ ^[A-Za-z0-9_-]+$ ]] || return
    spokectl devices --names | grep -qxF -e "$1" ||
        spokectl add-device "$1" --connection-string-file "$keys/$1"
}

# Returns as soon as the reading is on disk: from there on it will reach the hub.
send() {
    printf %s "$2" | spokectl send --device "$1" --file - --stamp \
        --content-type application/json --content-encoding utf-8
}

declare -A known=()
lost=0
while read -r name body; do
    if [[ -z ${known[$name]-} ]]; then
        if ! add "$name"; then
            echo "Nothing is sent for '$name'" >&2
            lost=1
            continue
        fi
        known[$name]=yes
    fi
    if ! send "$name" "$body"; then
        echo "A reading of $name is lost" >&2
        lost=1
    fi
done

for name in "${!known[@]}"; do
    spokectl flush --device "$name" --timeout 10 || true # the rest goes out later
done
spokectl devices
exit $lost
