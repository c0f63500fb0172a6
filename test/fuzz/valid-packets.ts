/** Well-formed packets of all kinds, encoded by mqtt-packet, which shares no code with the broker. */

import { generate, type Packet } from "mqtt-packet";
import type { Draws } from "./draws.ts";
import { CLIENT_FINAL, CLIENT_FIRST, METHOD } from "./scram-fixture.ts";

export type Version = 3 | 4 | 5;

const TOPICS = ["a", "a/b", "a/b/c", "home/lamp/state", "a//b", "/", "\u00fc/\u{1f600}", "$other/x"];
const FILTERS = [
  "#",
  "a/#",
  "a/b",
  "+",
  "a/+/c",
  "+/+/state",
  "$share/g/a/#",
  "$share/g/+",
  "$share/h/#",
  "$other/#",
  // Refused, but well-formed packets all the same.
  "a/#/b",
  "$share/g",
];
/** Few identifiers, so that packets refer to each other. */
const IDENTIFIERS = [1, 2, 3, 4];

export function encode(packet: object, version: Version): Uint8Array {
  return new Uint8Array(generate(packet as Packet, { protocolVersion: version }));
}

export function connect(draws: Draws, version: Version, clientId: string): object {
  const hasWill = draws.oneIn(3);
  return {
    cmd: "connect",
    protocolId: version === 3 ? "MQIsdp" : "MQTT",
    protocolVersion: version,
    clean: draws.oneIn(2),
    keepalive: draws.of([0, 1, 10, 65535]),
    clientId,
    ...(draws.oneIn(4) && { username: "user", password: Buffer.from("password") }),
    ...(hasWill && { will: will(draws, version) }),
    ...(version === 5 && { properties: connectProperties(draws) }),
  };
}

function will(draws: Draws, version: Version): object {
  return {
    topic: draws.of(TOPICS),
    payload: Buffer.from(draws.bytes(draws.below(20))),
    qos: draws.below(3),
    retain: draws.oneIn(2),
    ...(version === 5 && {
      properties: { willDelayInterval: draws.below(3) * 2, ...messageProperties(draws) },
    }),
  };
}

function connectProperties(draws: Draws): object {
  return {
    ...(draws.oneIn(2) && { sessionExpiryInterval: draws.of([0, 1, 60, 0xffffffff]) }),
    ...(draws.oneIn(3) && { receiveMaximum: draws.of([1, 2, 65535]) }),
    ...(draws.oneIn(4) && { maximumPacketSize: draws.of([1, 20, 100, 100_000]) }),
    ...(draws.oneIn(3) && { topicAliasMaximum: draws.of([1, 3, 65535]) }),
    ...(draws.oneIn(3) && { requestResponseInformation: draws.oneIn(2) }),
    ...(draws.oneIn(3) && { requestProblemInformation: draws.oneIn(2) }),
    ...(draws.oneIn(4) && { userProperties: { name: ["one", "two"] } }),
    ...(draws.oneIn(6) && { authenticationMethod: METHOD, authenticationData: CLIENT_FIRST }),
  };
}

function messageProperties(draws: Draws): object {
  return {
    ...(draws.oneIn(4) && { payloadFormatIndicator: draws.oneIn(2) }),
    ...(draws.oneIn(4) && { messageExpiryInterval: draws.of([0, 1, 1000]) }),
    ...(draws.oneIn(5) && { contentType: "text/plain" }),
    ...(draws.oneIn(5) && { responseTopic: "answer/here", correlationData: Buffer.from([1, 2, 3]) }),
    ...(draws.oneIn(5) && { userProperties: { name: "value" } }),
  };
}

/** Something that a connected client may send. */
export function anyPacket(draws: Draws, version: Version): object {
  switch (
    draws.mostly(["publish", "subscribe", "acknowledge", "unsubscribe", "pingreq", "auth", "disconnect"])
  ) {
    case "publish":
      return publish(draws, version);
    case "subscribe":
      return subscribe(draws, version);
    case "acknowledge": {
      const [cmd, refusal] = draws.of([
        ["puback", 0x97],
        ["pubrec", 0x97],
        ["pubrel", 0x92],
        ["pubcomp", 0x92],
      ] as const);
      const code = version === 5 && { reasonCode: draws.of([0, 0, refusal]) };
      return { cmd, messageId: draws.of(IDENTIFIERS), ...code };
    }
    case "unsubscribe":
      return { cmd: "unsubscribe", messageId: draws.of(IDENTIFIERS), unsubscriptions: [draws.of(FILTERS)] };
    case "auth":
      return version === 5 ? auth(draws) : { cmd: "pingreq" };
    case "disconnect":
      return draws.oneIn(3)
        ? { cmd: "disconnect", ...(version === 5 && { reasonCode: draws.of([0, 4]) }) }
        : { cmd: "pingreq" };
    default:
      return { cmd: "pingreq" };
  }
}

/** The next step of an authentication, mostly. */
export function auth(draws: Draws): object {
  const [reasonCode, authenticationData] = draws.of([
    [0x18, CLIENT_FINAL],
    [0x19, CLIENT_FIRST],
    [0x18, CLIENT_FIRST],
  ] as const);
  return { cmd: "auth", reasonCode, properties: { authenticationMethod: METHOD, authenticationData } };
}

function publish(draws: Draws, version: Version): object {
  const qos = draws.below(3);
  const alias = version === 5 && draws.oneIn(4) ? { topicAlias: 1 + draws.below(4) } : undefined;
  return {
    cmd: "publish",
    topic: alias !== undefined && draws.oneIn(2) ? "" : draws.of(TOPICS),
    payload: Buffer.from(draws.bytes(draws.mostly([3, 0, 30, 300, 5000]))),
    qos,
    retain: draws.oneIn(3),
    dup: qos > 0 && draws.oneIn(5),
    ...(qos > 0 && { messageId: draws.of(IDENTIFIERS) }),
    ...(version === 5 && { properties: { ...messageProperties(draws), ...alias } }),
  };
}

function subscribe(draws: Draws, version: Version): object {
  const subscriptions = Array.from({ length: draws.mostly([1, 2, 3, 25]) }, () => ({
    topic: draws.of(FILTERS),
    qos: draws.below(3),
    ...(version === 5 && { nl: draws.oneIn(4), rap: draws.oneIn(3), rh: draws.below(3) }),
  }));
  return {
    cmd: "subscribe",
    messageId: draws.of(IDENTIFIERS),
    subscriptions,
    ...(version === 5 &&
      draws.oneIn(3) && { properties: { subscriptionIdentifier: 1 + draws.below(300_000) } }),
  };
}
