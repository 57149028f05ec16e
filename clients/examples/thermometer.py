#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Telemetry and cloud-to-device messages with GLib's D-Bus alone (Debian: python3-gi).

Sends a temperature every few seconds. Messages from the cloud with the app property
command=interval set how many; all others are rejected. The emulator sends one so:

    iothub-emulator ctl send DEVICE 2 --property command=interval
"""

import json
import os
import sys
import time

try:
    from gi.repository import Gio, GLib
except ImportError as error:
    sys.exit(f"{error}: Debian's package python3-gi brings it, for /usr/bin/python3 alone")

NAME = "org.spoked1"
PATH = "/org/spoked1/device/self"
INTERFACE = "org.spoked1.Device"


class Thermometer:
    """Holds the connection, and a subscription for as long as there is a daemon."""

    def __init__(self, bus):
        self.bus = bus
        self.timer = 0
        bus.signal_subscribe(NAME, INTERFACE, "Settled", PATH, None, 0, self.on_settled)
        bus.signal_subscribe(NAME, INTERFACE, "MessageReceived", PATH, None, 0, self.on_message)
        # Subscriptions end with the daemon: ask again whenever one appears.
        Gio.bus_watch_name_on_connection(
            bus, NAME, Gio.BusNameWatcherFlags.AUTO_START, self.on_daemon, self.on_no_daemon
        )

    def call(self, method, arguments, done=None):
        def on_reply(bus, result):
            try:
                reply = bus.call_finish(result)
            except GLib.Error as error:
                print(f"{method}: {Gio.DBusError.get_remote_error(error)}: {error.message}")
                return
            if done:
                done(*reply.unpack())

        self.bus.call(NAME, PATH, INTERFACE, method, arguments, None, 0, -1, None, on_reply)

    def send(self):
        body = json.dumps({"celsius": round(20 + time.time() % 10, 1)})
        options = {
            "content-type": GLib.Variant("s", "application/json"),
            "content-encoding": GLib.Variant("s", "utf-8"),
            "creation-time": GLib.Variant("t", time.time_ns() // 1000),
            "notify": GLib.Variant("b", True),
        }
        arguments = GLib.Variant("(sa{ss}a{sv})", (body, {"sensor": "attic"}, options))
        self.call("SendText", arguments, lambda number: print(f"{number}: queued: {body}"))
        return GLib.SOURCE_CONTINUE

    def on_settled(self, _bus, _sender, _path, _interface, _signal, parameters):
        number, outcome, detail = parameters.unpack()
        print(f"{number}: {outcome} {detail}")

    def on_daemon(self, _bus, _name, _owner):
        options = {"mode": GLib.Variant("s", "handle")}
        self.call("Subscribe", GLib.Variant("(a{sv})", (options,)))
        self.set_interval(5)

    def on_no_daemon(self, _bus, _name):
        print("spoked is away")
        if self.timer:
            GLib.source_remove(self.timer)
            self.timer = 0

    def set_interval(self, seconds):
        if self.timer:
            GLib.source_remove(self.timer)
        self.timer = GLib.timeout_add_seconds(seconds, self.send)
        self.send()

    def on_message(self, _bus, _sender, _path, _interface, _signal, parameters):
        message, body, properties, system = parameters.unpack()
        print(f"cloud: {bytes(body)!r} {properties} {system.get('message-id')}")
        try:
            if properties.get("command") != "interval":
                raise ValueError("the app property command=interval is expected")
            seconds = min(max(int(bytes(body)), 1), 3600)
        except ValueError as error:
            print(f"cloud: not understood, and rejected: {error}")
            self.call("Reject", GLib.Variant("(s)", (message,)))
            return
        self.set_interval(seconds)
        self.call("Complete", GLib.Variant("(s)", (message,)))


def connect():
    """The system bus, or the one that DBUS_SYSTEM_BUS_ADDRESS names."""
    return Gio.bus_get_sync(Gio.BusType.SYSTEM)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    thermometer = Thermometer(connect())
    try:
        GLib.MainLoop().run()
    except KeyboardInterrupt:
        os._exit(0)
