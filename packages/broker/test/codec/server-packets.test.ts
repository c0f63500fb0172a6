/** Packets of the broker, each with everything that it may have: mqtt-packet reads what was meant. */

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  acknowledgementFrame,
  authFrame,
  connackFrame,
  disconnectFrame,
  PINGRESP,
  subackFrame,
  unsubackFrame,
} from "../../src/codec/packet-writer.ts";
import { bytes, packetId, parse, present, seconds, text, version } from "./oracle.ts";

const maybe = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(values, { nil: undefined });

test("CONNACK", () => {
  const properties = fc.record(
    {
      sessionExpirySeconds: seconds,
      receiveMaximum: packetId,
      maximumPacketSize: fc.integer({ min: 1, max: 0xffff_ffff }),
      assignedClientIdentifier: text,
      topicAliasMaximum: packetId,
      serverKeepAliveSeconds: packetId,
      responseInformation: text,
      reason: text,
      authenticationMethod: text,
    },
    { requiredKeys: [] },
  );
  const property = fc.property(properties, fc.boolean(), maybe(bytes), (named, isPresent, data) => {
    const hasData = named.authenticationMethod !== undefined && data !== undefined;
    const proof = hasData ? { authenticationData: data } : {};
    expect(parse(connackFrame(5, 0, isPresent, { ...named, ...proof }), 5)).toMatchObject({
      cmd: "connack",
      reasonCode: 0,
      sessionPresent: isPresent,
    });
    const came = parse(connackFrame(5, 0x87, false, { ...named, ...proof }), 5) as { properties?: object };
    expect({ ...came.properties }).toEqual(
      present({
        sessionExpiryInterval: named.sessionExpirySeconds,
        receiveMaximum: named.receiveMaximum,
        maximumPacketSize: named.maximumPacketSize,
        assignedClientIdentifier: named.assignedClientIdentifier,
        topicAliasMaximum: named.topicAliasMaximum,
        serverKeepAlive: named.serverKeepAliveSeconds,
        responseInformation: named.responseInformation,
        reasonString: named.reason,
        authenticationMethod: named.authenticationMethod,
        ...proof,
      }),
    );
  });
  fc.assert(property);
  for (const code of [0, 1, 2, 5])
    for (const isPresent of [false, true])
      expect(parse(connackFrame(4, code, isPresent, {}), 4)).toMatchObject({
        returnCode: code,
        sessionPresent: isPresent,
      });
  expect(parse(connackFrame(3, 0, true, {}), 3)).toMatchObject({ returnCode: 0, sessionPresent: false });
});

test("PUBACK, PUBREC, PUBREL and PUBCOMP", () => {
  const names = { 4: "puback", 5: "pubrec", 6: "pubrel", 7: "pubcomp" } as const;
  const codes = {
    4: [0, 0x10, 0x87, 0x97, 0x99],
    5: [0, 0x10, 0x87, 0x97, 0x99],
    6: [0, 0x92],
    7: [0, 0x92],
  };
  const property = fc.property(
    fc.constantFrom(4 as const, 5 as const, 6 as const, 7 as const),
    fc.nat(),
    version,
    packetId,
    maybe(text),
    (type, which, protocolVersion, id, reason) => {
      const reasonCode = codes[type][which % codes[type].length] as number;
      const frame = acknowledgementFrame(type, reasonCode, protocolVersion, reason);
      // The packet identifier is written into each copy.
      const copy = frame.bytes.slice();
      copy.set([id >> 8, id & 0xff], frame.packetIdAt);
      const came = parse({ ...frame, bytes: copy }, protocolVersion) as {
        reasonCode?: number;
        properties?: object;
      };
      expect(came).toMatchObject({ cmd: names[type], messageId: id });
      if (protocolVersion !== 5) return;
      expect(came.reasonCode).toBe(reasonCode);
      expect({ ...came.properties }).toEqual(present({ reasonString: reason }));
    },
  );
  fc.assert(property);
});

test("SUBACK and UNSUBACK", () => {
  const codesOf = (...codes: number[]) =>
    fc.array(fc.constantFrom(...codes), { minLength: 1, maxLength: 300 });
  const granted = codesOf(0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2);
  const ended = codesOf(0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91);
  const property = fc.property(
    fc.tuple(version, packetId, maybe(text)),
    granted,
    ended,
    ([protocolVersion, id, reason], codes, endings) => {
      const isFive = protocolVersion === 5;
      const suback = parse(subackFrame(protocolVersion, id, codes, reason), protocolVersion);
      const shown = isFive ? codes : codes.map((code) => Math.min(code, 0x80));
      expect(suback).toMatchObject({ cmd: "suback", messageId: id, granted: shown });
      if (isFive && reason !== undefined)
        expect(suback).toMatchObject({ properties: { reasonString: reason } });
      const unsuback = parse(unsubackFrame(protocolVersion, id, endings), protocolVersion);
      expect(unsuback).toMatchObject({ cmd: "unsuback", messageId: id, ...(isFive && { granted: endings }) });
    },
  );
  fc.assert(property);
});

test("DISCONNECT, AUTH and PINGRESP", () => {
  const codes = fc.constantFrom(0x81, 0x82, 0x87, 0x8b, 0x8d, 0x8e, 0x93, 0x95, 0x97, 0x9c, 0x9d);
  const property = fc.property(codes, maybe(text), maybe(text), (code, reasonString, serverReference) => {
    const came = parse(disconnectFrame(code, reasonString, serverReference), 5) as { properties?: object };
    expect(came).toMatchObject({ cmd: "disconnect", reasonCode: code });
    expect({ ...came.properties }).toEqual(present({ reasonString, serverReference }));
  });
  fc.assert(property);
  const exchange = fc.property(fc.constantFrom(0, 0x18), text, maybe(bytes), (code, method, data) => {
    const came = parse(authFrame(code, method, data), 5) as { properties?: object };
    expect(came).toMatchObject({ cmd: "auth", reasonCode: code });
    expect({ ...came.properties }).toEqual(
      present({ authenticationMethod: method, authenticationData: data }),
    );
  });
  fc.assert(exchange);
  expect(parse(PINGRESP, 5)).toMatchObject({ cmd: "pingresp" });
});
