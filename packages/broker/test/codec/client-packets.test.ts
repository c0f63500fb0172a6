/** Packets of clients, each with everything that it may have, as mqtt-packet writes them: the broker reads the same. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { readConnect, readProtocolVersion } from "../../src/codec/connect-packet.ts";
import {
  readAnswer,
  readAuth,
  readDisconnect,
  readRelease,
  readSubscribe,
  readUnsubscribe,
} from "../../src/codec/control-packets.ts";
import { FieldReader } from "../../src/codec/field-reader.ts";
import {
  body,
  bytes,
  ours,
  packetId,
  present,
  seconds,
  text,
  theirs,
  topicName,
  userProperties,
  version,
} from "./oracle.ts";

const flag = fc.boolean();
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);

const will = fc.record({
  topic: topicName,
  payload: bytes,
  qos,
  retain: flag,
  properties: fc.record(
    {
      willDelayInterval: seconds,
      payloadFormatIndicator: flag,
      messageExpiryInterval: seconds,
      contentType: text,
      responseTopic: topicName,
      correlationData: bytes,
      userProperties,
    },
    { requiredKeys: [] },
  ),
});
const authentication = fc.record({ method: text, data: fc.option(bytes, { nil: undefined }) });
const connectProperties = fc.record(
  {
    sessionExpiryInterval: seconds,
    receiveMaximum: packetId,
    maximumPacketSize: fc.integer({ min: 1, max: 0xffff_ffff }),
    topicAliasMaximum: fc.integer({ min: 0, max: 0xffff }),
    requestResponseInformation: flag,
    requestProblemInformation: flag,
    userProperties,
    authentication,
  },
  { requiredKeys: [] },
);
const connect = fc.record({
  clientId: text.filter((value) => value !== ""),
  clean: flag,
  keepalive: fc.integer({ min: 0, max: 0xffff }),
  will: fc.option(will, { nil: undefined }),
  username: fc.option(text, { nil: undefined }),
  password: bytes,
  properties: connectProperties,
});

test("CONNECT: every field comes through", () => {
  const property = fc.property(version, connect, (protocolVersion, sent) => {
    const { properties: named, will: sentWill, password, ...plain } = sent;
    const { authentication: proof, userProperties: pairs, ...rest } = named;
    const properties = {
      ...rest,
      ...(pairs !== undefined && { userProperties: theirs(pairs) }),
      ...(proof !== undefined && {
        authenticationMethod: proof.method,
        ...present({ authenticationData: proof.data }),
      }),
    };
    const { userProperties: willPairs, ...willRest } = sentWill?.properties ?? {};
    const willProperties = {
      ...willRest,
      ...(willPairs !== undefined && { userProperties: theirs(willPairs) }),
    };
    const isFive = protocolVersion === 5;
    const packet = {
      cmd: "connect",
      protocolId: protocolVersion === 3 ? "MQIsdp" : "MQTT",
      protocolVersion,
      ...present(plain),
      ...(plain.username !== undefined && { password }),
      ...(sentWill !== undefined && {
        will: { ...sentWill, properties: isFive ? willProperties : undefined },
      }),
      ...(isFive && { properties }),
    };
    const reader = body(packet, protocolVersion);
    expect(readProtocolVersion(reader)).toBe(protocolVersion);
    const came = readConnect(reader, protocolVersion);
    expect(came).toMatchObject({
      protocolVersion,
      clientId: sent.clientId,
      cleanStart: sent.clean,
      keepAliveSeconds: sent.keepalive,
      username: sent.username,
    });
    expect(came.password && Buffer.from(came.password)).toEqual(
      sent.username === undefined ? undefined : password,
    );
    expect(came.properties).toEqual(
      isFive
        ? present({
            sessionExpirySeconds: rest.sessionExpiryInterval,
            receiveMaximum: rest.receiveMaximum,
            maximumPacketSize: rest.maximumPacketSize,
            topicAliasMaximum: rest.topicAliasMaximum,
            wantsResponseInformation: rest.requestResponseInformation,
            wantsReasons: rest.requestProblemInformation,
            userProperties: pairs && ours(pairs),
            authenticationMethod: proof?.method,
            authenticationData: proof?.data && new Uint8Array(proof.data),
          })
        : {},
    );
    if (sentWill === undefined) {
      expect(came.will).toBeUndefined();
      return;
    }
    const { topic, qos: willQos, retain, payload } = sentWill;
    expect(came.will?.delaySeconds).toBe((isFive && willRest.willDelayInterval) || 0);
    const { properties: travels, ...message } = came.will?.message ?? {};
    expect(message).toEqual({ topic, qos: willQos, retain, payload: new Uint8Array(payload) });
    const { correlationData } = willRest;
    expect(travels ?? {}).toEqual(
      isFive
        ? present({
            payloadIsUtf8: willRest.payloadFormatIndicator,
            messageExpirySeconds: willRest.messageExpiryInterval,
            contentType: willRest.contentType,
            responseTopic: willRest.responseTopic,
            correlationData: correlationData && new Uint8Array(correlationData),
            userProperties: willPairs && ours(willPairs),
          })
        : {},
    );
  });
  fc.assert(property, { numRuns: 500 });
});

test("SUBSCRIBE and UNSUBSCRIBE: filters and options come through in order", () => {
  const subscription = fc.record({ topic: text, qos, nl: flag, rap: flag, rh: fc.constantFrom(0, 1, 2) });
  const subscriptions = fc.array(subscription, { minLength: 1, maxLength: 5 });
  const identifier = fc.option(fc.integer({ min: 1, max: 268_435_455 }), { nil: undefined });
  const property = fc.property(
    version,
    packetId,
    subscriptions,
    identifier,
    fc.option(userProperties, { nil: undefined }),
    (protocolVersion, messageId, sent, subscriptionIdentifier, pairs) => {
      const isFive = protocolVersion === 5;
      const named = pairs && theirs(pairs);
      const properties = isFive && { properties: present({ subscriptionIdentifier, userProperties: named }) };
      const packet = { cmd: "subscribe", messageId, subscriptions: sent, ...properties };
      expect(readSubscribe(body(packet, protocolVersion), protocolVersion)).toEqual({
        packetId: messageId,
        subscriptionIdentifier: isFive ? subscriptionIdentifier : undefined,
        requests: sent.map(({ topic, qos: asked, nl, rap, rh }) => ({
          filter: topic,
          qos: asked,
          noLocal: isFive && nl,
          retainAsPublished: isFive && rap,
          retainHandling: isFive ? rh : 0,
        })),
      });
      const filters = sent.map(({ topic }) => topic);
      const ended = {
        cmd: "unsubscribe",
        messageId,
        unsubscriptions: filters,
        ...(isFive && { properties: present({ userProperties: named }) }),
      };
      expect(readUnsubscribe(body(ended, protocolVersion), protocolVersion)).toEqual({
        packetId: messageId,
        filters,
      });
    },
  );
  fc.assert(property);
});

const reasons = fc.record({ reasonString: text, userProperties }, { requiredKeys: [] });

test("PUBACK, PUBREC, PUBREL and PUBCOMP: packet identifier and Reason Code come through, a Reason String is passed over", () => {
  const answers = fc.constantFrom(0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99);
  const releases = fc.constantFrom(0, 0x92);
  const packet = fc.oneof(
    fc.record({ cmd: fc.constantFrom("puback", "pubrec"), reasonCode: answers }),
    fc.record({ cmd: fc.constantFrom("pubrel", "pubcomp"), reasonCode: releases }),
  );
  const property = fc.property(
    version,
    packetId,
    packet,
    reasons,
    (protocolVersion, messageId, sent, named) => {
      const { userProperties: pairs, ...rest } = named;
      const properties = { ...rest, ...(pairs !== undefined && { userProperties: theirs(pairs) }) };
      const fields = body({ ...sent, messageId, properties }, protocolVersion);
      const read = sent.cmd === "puback" || sent.cmd === "pubrec" ? readAnswer : readRelease;
      expect(read(fields, protocolVersion)).toEqual({
        packetId: messageId,
        reasonCode: protocolVersion === 5 ? sent.reasonCode : 0,
      });
    },
  );
  fc.assert(property);
});

test("DISCONNECT: Reason Code and Session Expiry Interval come through", () => {
  const codes = fc.constantFrom(0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99);
  const expiry = fc.option(seconds, { nil: undefined });
  const property = fc.property(codes, expiry, reasons, (reasonCode, sessionExpiryInterval, named) => {
    const { userProperties: pairs, ...rest } = named;
    const properties = {
      ...rest,
      ...present({ sessionExpiryInterval, userProperties: pairs && theirs(pairs) }),
    };
    expect(readDisconnect(body({ cmd: "disconnect", reasonCode, properties }, 5), 5)).toEqual({
      reasonCode,
      sessionExpirySeconds: sessionExpiryInterval,
    });
  });
  fc.assert(property);
  for (const protocolVersion of [3, 4, 5] as const) {
    expect(readDisconnect(new FieldReader(), protocolVersion)).toEqual({
      reasonCode: 0,
      sessionExpirySeconds: undefined,
    });
  }
});

test("AUTH: Reason Code, method and data come through", () => {
  const property = fc.property(
    fc.constantFrom(0, 0x18, 0x19),
    authentication,
    reasons,
    (reasonCode, proof, named) => {
      const { userProperties: pairs, ...rest } = named;
      const properties = {
        ...rest,
        authenticationMethod: proof.method,
        ...present({ authenticationData: proof.data, userProperties: pairs && theirs(pairs) }),
      };
      const { method, data, reasonCode: came } = readAuth(body({ cmd: "auth", reasonCode, properties }, 5));
      expect({ came, method, data }).toEqual({
        came: reasonCode,
        method: proof.method,
        data: proof.data && new Uint8Array(proof.data),
      });
    },
  );
  fc.assert(property);
});
