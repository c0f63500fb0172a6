"""Subscribes on one node and publishes on another with Eclipse Paho; prints what arrived as JSON lines.

usage: paho_client.py SUBSCRIBE_PORT PUBLISH_PORT VERSION(4|5) QOS TOPIC COUNT
"""

import json
import sys
import threading

import paho.mqtt.client as mqtt

subscribe_port, publish_port, version, qos, topic, count = sys.argv[1:]
version, qos, count = int(version), int(qos), int(count)


def make(name):
    options = {"client_id": f"{name}-{topic.replace('/', '-')}", "protocol": version}
    if hasattr(mqtt, "CallbackAPIVersion"):  # Paho 2
        return mqtt.Client(mqtt.CallbackAPIVersion.VERSION1, **options)
    return mqtt.Client(**options)


subscribed = threading.Event()
complete = threading.Event()
received = []


def on_message(_client, _userdata, message):
    received.append(message)
    print(json.dumps({"topic": message.topic, "payload": message.payload.decode(), "qos": message.qos}))
    if len(received) == count:
        complete.set()


subscriber = make("paho-sub")
subscriber.on_message = on_message
subscriber.on_subscribe = lambda *_: subscribed.set()
subscriber.connect("127.0.0.1", int(subscribe_port))
subscriber.loop_start()
subscriber.subscribe(topic + "/#", qos)
if not subscribed.wait(10):
    sys.exit("no SUBACK")

publisher = make("paho-pub")
publisher.connect("127.0.0.1", int(publish_port))
publisher.loop_start()
for number in range(count):
    publisher.publish(f"{topic}/{number % 3}", str(number), qos).wait_for_publish()
if not complete.wait(10):
    sys.exit(f"only {len(received)} of {count} messages came")
publisher.disconnect()
subscriber.disconnect()
