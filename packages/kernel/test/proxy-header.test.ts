import { isIP } from "node:net";
import {
  encodeProxyHeader,
  formatIp,
  type ProxyHeader,
  ProxyHeaderReader,
  parseIp,
  SkeinError,
} from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";

const port = fc.integer({ min: 0, max: 0xffff });
const endpointsOf = (ip: fc.Arbitrary<string>) =>
  fc.record({
    source: fc.record({ address: ip, port }),
    destination: fc.record({ address: ip, port }),
  });
const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(formatIp);
const ipv6 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .chain((bytes) =>
    fc.nat({ max: 16 }).map((zeros) => formatIp(bytes.map((byte, at) => (at < zeros ? 0 : byte)))),
  );
const ends = fc.oneof(
  endpointsOf(ipv4),
  endpointsOf(ipv6),
  fc.constant({ source: undefined, destination: undefined }),
);
const fields = fc.array(
  fc.record({ type: fc.integer({ min: 0, max: 0xff }), value: fc.uint8Array({ maxLength: 60 }) }),
  { maxLength: 6 },
);
const v2: fc.Arbitrary<ProxyHeader> = fc
  .tuple(ends, fields, fc.constantFrom("proxy" as const, "local" as const))
  .map(([{ source, destination }, all, command]) =>
    command === "local"
      ? { version: 2, command, source: undefined, destination: undefined, fields: all }
      : { version: 2, command, source, destination, fields: all },
  );

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Feeds `bytes` in pieces of the given lengths, then the rest. Returns how many bytes were taken. */
function feed(reader: ProxyHeaderReader, bytes: Uint8Array, pieces: readonly number[]): number {
  let at = 0;
  for (const length of [...pieces, bytes.length]) {
    const piece = bytes.subarray(at, at + length);
    const taken = reader.feed(piece);
    at += taken;
    if (taken < piece.length) break;
  }
  return at;
}

function outcome(bytes: Uint8Array): ProxyHeader | "incomplete" | "malformed" {
  const reader = new ProxyHeaderReader();
  try {
    reader.feed(bytes);
    return reader.header ?? "incomplete";
  } catch (error) {
    expect(error).toBeInstanceOf(SkeinError);
    expect((error as SkeinError).code).toBe("ERR_SKEIN_MALFORMED");
    return "malformed";
  }
}

test("a version 2 header is read back as it was written, in whatever pieces it comes, and not one byte more is taken", () => {
  fc.assert(
    fc.property(
      v2,
      fc.uint8Array({ maxLength: 50 }),
      fc.array(fc.nat({ max: 40 })),
      (header, rest, pieces) => {
        const bytes = encodeProxyHeader(header);
        const reader = new ProxyHeaderReader();
        expect(feed(reader, Uint8Array.of(...bytes, ...rest), pieces)).toBe(bytes.length);
        expect(reader.header).toEqual(header);
        expect(reader.bytes).toEqual(bytes);
      },
    ),
    { numRuns: 500 },
  );
});

test("a version 1 header is read in whatever pieces it comes, and not one byte more is taken", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        endpointsOf(ipv4).map((both) => ({ ...both, family: "TCP4" })),
        endpointsOf(ipv6).map((both) => ({ ...both, family: "TCP6" })),
      ),
      fc.uint8Array({ maxLength: 50 }),
      fc.array(fc.nat({ max: 40 })),
      ({ family, source, destination }, rest, pieces) => {
        const line = `PROXY ${family} ${source.address} ${destination.address} ${source.port} ${destination.port}\r\n`;
        const reader = new ProxyHeaderReader();
        expect(feed(reader, Uint8Array.of(...ascii(line), ...rest), pieces)).toBe(line.length);
        expect(reader.header).toEqual({ version: 1, command: "proxy", source, destination, fields: [] });
      },
    ),
  );
});

test("the examples of the specification are read", () => {
  const worst = `PROXY UNKNOWN ${"ffff:".repeat(7)}ffff ${"ffff:".repeat(7)}ffff 65535 65535\r\n`;
  expect(worst.length).toBe(107);
  const unknown = { version: 1, command: "proxy", source: undefined, destination: undefined, fields: [] };
  expect(outcome(ascii(worst))).toEqual(unknown);
  expect(outcome(ascii("PROXY UNKNOWN\r\n"))).toEqual(unknown);
  expect(outcome(ascii("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"))).toMatchObject({
    source: { address: "255.255.255.255", port: 65535 },
  });
  const binary = [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0, 12];
  expect(outcome(Uint8Array.of(...binary, 192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x07, 0x5b))).toEqual({
    version: 2,
    command: "proxy",
    source: { address: "192.0.2.1", port: 12345 },
    destination: { address: "198.51.100.2", port: 1883 },
    fields: [],
  });
});

test("a header for UNIX sockets or datagrams is taken whole, as one whose ends are not known", () => {
  const start = encodeProxyHeader({
    command: "proxy",
    source: undefined,
    destination: undefined,
    fields: [],
  });
  for (const [family, length] of [
    [0x31, 216],
    [0x12, 12],
    [0x22, 36],
  ] as const) {
    const bytes = Uint8Array.of(...start.subarray(0, 13), family, 0, length, ...new Uint8Array(length));
    expect(outcome(bytes)).toMatchObject({ command: "proxy", source: undefined, destination: undefined });
  }
});

test.each([
  ["an MQTT CONNECT", Uint8Array.of(0x10, 0x0c, 0, 4, 0x4d, 0x51, 0x54, 0x54)],
  ["an HTTP request", ascii("GET / HTTP/1.1\r\n")],
  ["version 3", withByte(12, 0x31)],
  ["an unknown command", withByte(12, 0x22)],
  ["an unknown family", withByte(13, 0x41)],
  ["an unknown protocol", withByte(13, 0x13)],
  ["more than the limit", withByte(14, 0x04)],
  ["addresses that are cut off", Uint8Array.of(...withByte(15, 3).subarray(0, 16), 1, 2, 3)],
  ["a text without CR", ascii("PROXY TCP4 1.2.3.4 1.2.3.5 1 2\n")],
  ["a text that does not end", ascii(`PROXY UNKNOWN${" ".repeat(100)}`)],
  ["two spaces", ascii("PROXY TCP4  1.2.3.4 1.2.3.5 1 2\r\n")],
  ["an octal address", ascii("PROXY TCP4 01.2.3.4 1.2.3.5 1 2\r\n")],
  ["the wrong family", ascii("PROXY TCP4 ::1 ::2 1 2\r\n")],
  ["a port too large", ascii("PROXY TCP4 1.2.3.4 1.2.3.5 1 65536\r\n")],
  ["a port with a leading zero", ascii("PROXY TCP4 1.2.3.4 1.2.3.5 01 2\r\n")],
])("%s is refused", (_, bytes) => {
  expect(outcome(bytes)).toBe("malformed");
});

function withByte(at: number, value: number): Uint8Array {
  const bytes = encodeProxyHeader({
    command: "proxy",
    source: { address: "192.0.2.1", port: 1 },
    destination: { address: "192.0.2.2", port: 2 },
    fields: [],
  });
  bytes[at] = value;
  return bytes;
}

test("arbitrary and damaged bytes are read, refused as malformed or waited for, never more than the limit", () => {
  const damaged = fc.tuple(v2, fc.nat(), fc.nat({ max: 255 })).map(([header, at, value]) => {
    const bytes = encodeProxyHeader(header);
    bytes[at % bytes.length] = value;
    return bytes;
  });
  const text = fc.string({ maxLength: 130 }).map((tail) => ascii(`PROXY ${tail}\r\n`));
  fc.assert(
    fc.property(fc.oneof(damaged, text, fc.uint8Array({ maxLength: 1200 })), (bytes) => {
      const reader = new ProxyHeaderReader();
      try {
        reader.feed(bytes);
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_SKEIN_MALFORMED" });
      }
      expect(reader.bytes.length).toBeLessThanOrEqual(1024);
    }),
    { numRuns: 2000 },
  );
});

test("addresses are read as Node reads them, and IPv6 is written in its canonical form", () => {
  const part = fc.oneof(
    fc.constantFrom("", "0", "00", "1", "ffff", "fffff", "g", "1.2.3.4", "256", "-1", "%eth0"),
  );
  const text = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.array(part, { maxLength: 10 }).map((parts) => parts.join(":")),
    fc.array(part, { maxLength: 5 }).map((parts) => parts.join(".")),
  );
  fc.assert(
    fc.property(text, (address) => {
      const bytes = parseIp(address);
      expect(bytes === undefined ? 0 : bytes.length === 4 ? 4 : 6).toBe(
        address.includes("%") ? 0 : isIP(address),
      );
      if (bytes?.length !== 16) return;
      // The URL standard prescribes the same form.
      expect(`[${formatIp(bytes)}]`).toBe(new URL(`http://[${address}]/`).hostname);
    }),
    { numRuns: 2000 },
  );
});
