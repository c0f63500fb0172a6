"""An idle subscriber with Eclipse Paho that reconnects by itself; writes "connected" whenever it is,
"heard" for each message.

usage: paho_idle.py HOST KEEPALIVE TOPIC
"""

import sys

import paho.mqtt.client as mqtt

host, keepalive, topic = sys.argv[1:]
options = {"client_id": f"paho-{topic}"}
if hasattr(mqtt, "CallbackAPIVersion"):  # Paho 2
    options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION1
client = mqtt.Client(**options)


def on_connect(_client, _userdata, _flags, code):
    if code == 0:
        client.subscribe(topic, 1)


client.on_connect = on_connect
client.on_subscribe = lambda *_: print("connected", flush=True)
client.on_message = lambda *_: print("heard", flush=True)
client.connect(host, 1883, int(keepalive))
client.loop_forever()
