import { formatIp, parseIp } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isInNetwork } from "../../src/address/ip-network.ts";
import {
  advertisedMac,
  neighbourAdvertisement,
  neighbourSolicitation,
  solicitedNode,
  sumOf,
  tickleSegment,
} from "../../src/address/packets.ts";

const ip = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const port = fc.integer({ min: 1, max: 65_535 });

/** What a receiver computes: all words with the pseudo header, folded. */
function received(from: Uint8Array, to: Uint8Array, segment: Uint8Array): number {
  let sum = sumOf(from, sumOf(to, 6 + segment.length + sumOf(segment, 0)));
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

test("a tickle is a bare ACK of 20 bytes with sequence number 0, and every receiver finds its checksum right", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(4, 16).chain((length) => fc.tuple(ip(length), ip(length))),
      port,
      port,
      ([from, to], a, b) => {
        const segment = tickleSegment({ ip: from, port: a }, { ip: to, port: b });
        const view = new DataView(segment.buffer);
        expect(segment.length).toBe(20);
        expect(view.getUint16(0)).toBe(a);
        expect(view.getUint16(2)).toBe(b);
        expect(view.getUint32(4)).toBe(0);
        expect(view.getUint32(8)).toBe(0);
        expect(view.getUint8(12) >> 4).toBe(5);
        expect(view.getUint8(13)).toBe(0x10);
        expect(received(from, to, segment)).toBe(0xffff);
      },
    ),
  );
});

test("a tickle has the bytes that a real capture of one has", () => {
  // 10.9.0.250:1883 -> 10.9.0.2:40000, checksum computed by hand after RFC 1071.
  const segment = tickleSegment(
    { ip: Uint8Array.of(10, 9, 0, 250), port: 1883 },
    { ip: Uint8Array.of(10, 9, 0, 2), port: 40_000 },
  );
  let sum = 0x0a09 + 0x00fa + 0x0a09 + 0x0002 + 6 + 20 + 1883 + 40_000 + 0x5010 + 1234;
  sum = (sum & 0xffff) + (sum >> 16);
  expect(new DataView(segment.buffer).getUint16(16)).toBe(~sum & 0xffff);
});

test("a neighbour advertisement overrides what others knew, and names the target and its Ethernet address", () => {
  const target = parseIp("fd00::250") ?? new Uint8Array();
  const packet = neighbourAdvertisement(target, Uint8Array.of(2, 0, 0, 0, 0, 7));
  expect([...packet.subarray(0, 8)]).toEqual([136, 0, 0, 0, 0x20, 0, 0, 0]);
  expect(packet.subarray(8, 24)).toEqual(target);
  expect([...packet.subarray(24)]).toEqual([2, 1, 2, 0, 0, 0, 0, 7]);
});

test("a neighbour solicitation names the target and the Ethernet address of who asks, and goes to the target's own group", () => {
  const target = parseIp("fd00::12:3456") ?? new Uint8Array();
  const packet = neighbourSolicitation(target, Uint8Array.of(2, 0, 0, 0, 0, 7));
  expect([...packet.subarray(0, 8)]).toEqual([135, 0, 0, 0, 0, 0, 0, 0]);
  expect(packet.subarray(8, 24)).toEqual(target);
  expect([...packet.subarray(24)]).toEqual([1, 1, 2, 0, 0, 0, 0, 7]);
  expect(formatIp(solicitedNode(target))).toBe("ff02::1:ff12:3456");
});

test("the answer of a Linux machine, as it was captured, is read; so is one with another option before the Ethernet address", () => {
  const hex = "8800ec8860000000fd00007700000000000000000000025002017e91156cf2df";
  const packet = Uint8Array.from(hex.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
  const target = parseIp("fd00:77::250") ?? new Uint8Array();
  const mac = Uint8Array.of(0x7e, 0x91, 0x15, 0x6c, 0xf2, 0xdf);
  expect(advertisedMac(packet, target)).toEqual(mac);
  const nonce = [14, 1, 0, 0, 0, 0, 0, 0];
  const longer = Uint8Array.of(...packet.subarray(0, 24), ...nonce, ...packet.subarray(24));
  expect(advertisedMac(longer, target)).toEqual(mac);
  expect(advertisedMac(packet, parseIp("fd00:77::251") ?? new Uint8Array())).toBeUndefined();
});

test("whatever anybody sends: an Ethernet address or nothing, never an exception or an endless loop", () => {
  const target = new Uint8Array(16);
  const head = [136, 0, 0, 0, 0, 0, 0, 0, ...target];
  fc.assert(
    fc.property(fc.boolean(), fc.uint8Array({ maxLength: 64 }), (isAnswer, bytes) => {
      const found = advertisedMac(isAnswer ? Uint8Array.of(...head, ...bytes) : bytes, target);
      expect(found?.length ?? 6).toBe(6);
    }),
  );
  expect(advertisedMac(Uint8Array.of(...head, 1, 0, 0, 0, 0, 0, 0, 0), target)).toBeUndefined();
});

test.each([
  ["192.168.1.250", "192.168.1.20", 24, true],
  ["192.168.2.250", "192.168.1.20", 24, false],
  ["192.168.1.130", "192.168.1.20", 25, false],
  ["10.1.0.1", "10.255.0.1", 8, true],
  ["10.1.0.1", "11.1.0.1", 0, true],
  ["fd00:1::250", "fd00:1::1", 64, true],
  ["fd00:2::250", "fd00:1::1", 64, false],
  ["10.0.0.1", "fd00::1", 0, false],
])("%s in the network of %s/%i: %s", (address, other, prefix, isIn) => {
  expect(isInNetwork(parseIp(address) ?? new Uint8Array(), parseIp(other) ?? new Uint8Array(), prefix)).toBe(
    isIn,
  );
});
