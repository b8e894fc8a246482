"""A chat client on paho-mqtt, steered by a test.

Commands come as JSON lines on standard input, events go as JSON lines to standard output. It
disconnects when standard input ends.
"""

import argparse
import json
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

writing = threading.Lock()


def emit(event, **fields):
    with writing:
        print(json.dumps({"event": event, **fields}), flush=True)


def on_connect(_client, _userdata, _flags, reason, _properties):
    emit("connected", code=reason.value)


def on_disconnect(_client, _userdata, flags, reason, _properties):
    emit("disconnected", reason=reason.value if flags.is_disconnect_packet_from_server else 0)


def on_subscribe(_client, _userdata, _mid, reasons, _properties):
    emit("subscribed", codes=[reason.value for reason in reasons])


def on_publish(_client, _userdata, _mid, reason, _properties):
    emit("acknowledged", reason=reason.value)


def on_message(_client, _userdata, message):
    emit("message", topic=message.topic, payload=message.payload.decode(), qos=message.qos)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("address", help="HOST:PORT")
    parser.add_argument("version", choices=["3.1.1", "5"])
    parser.add_argument("client_id")
    parser.add_argument("username")
    parser.add_argument("password")
    parser.add_argument("--ca", help="PEM file to verify the broker with; TLS if given")
    parser.add_argument("--property", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--reconnect", action="store_true")
    return parser.parse_args()


def main():
    given = arguments()
    v5 = given.version == "5"
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2,
        client_id=given.client_id,
        protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311,
        reconnect_on_failure=given.reconnect,
    )
    client.username_pw_set(given.username, given.password)
    if given.ca:
        client.tls_set(ca_certs=given.ca)
    client.on_connect = on_connect
    client.on_disconnect = on_disconnect
    client.on_subscribe = on_subscribe
    client.on_publish = on_publish
    client.on_message = on_message
    properties = None
    if v5:
        properties = Properties(PacketTypes.CONNECT)
        properties.UserProperty = [tuple(pair.split("=", 1)) for pair in given.property]
    host, port = given.address.rsplit(":", 1)
    client.connect(host, int(port), properties=properties)
    client.loop_start()
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "subscribe":
            client.subscribe(command["topic"], qos=1)
        elif command["do"] == "publish":
            client.publish(command["topic"], command["payload"], qos=1)
    client.disconnect()
    client.loop_stop()


main()
