import { createSocket } from "node:dgram";
import { type AddressInfo, isIP } from "node:net";
import type { DnsHandler, DnsQuestion, DnsRecord, Log, MulticastDns } from "@skein/kernel";
import { afterEach, expect, test } from "vitest";
import { recordFromWire, recordToWire } from "../src/mdns/dns-records.ts";
import { multicastDns } from "../src/mdns/multicast-dns.ts";

const log: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
const opened: MulticastDns[] = [];

afterEach(() => {
  for (const dns of opened.splice(0)) dns.stop();
});

/** A UDP port that nobody uses, so that real responders on 5353 stay out of the tests. */
async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "0.0.0.0", resolve));
  const { port } = socket.address() as AddressInfo;
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

function start(port: number, handler: Partial<DnsHandler>): MulticastDns {
  const dns = multicastDns({ log, interfaces: ["127.0.0.1"], port });
  opened.push(dns);
  dns.start({
    queried: () => {},
    answered: () => {},
    failed: (error) => {
      throw error;
    },
    ...handler,
  });
  return dns;
}

const RECORDS: readonly DnsRecord[] = [
  { type: "PTR", name: "_skein._tcp.local", ttlSeconds: 120, target: "a1._skein._tcp.local" },
  { type: "SRV", name: "a1._skein._tcp.local", ttlSeconds: 120, target: "skein-a1.local", port: 7883 },
  { type: "TXT", name: "a1._skein._tcp.local", ttlSeconds: 120, strings: ["mesh=höme", "v=1", "empty="] },
  { type: "A", name: "skein-a1.local", ttlSeconds: 120, address: "192.0.2.1" },
  { type: "AAAA", name: "skein-a1.local", ttlSeconds: 0, address: "2001:db8::1" },
];

test("records survive the way to the codec and back", () => {
  for (const record of RECORDS) {
    if (record.type !== "TXT") expect(recordFromWire(recordToWire(record))).toEqual(record);
  }
  const wire = { type: "TXT", name: "x", ttl: 1, data: [Buffer.from("a=b"), Buffer.from("c")] } as const;
  expect(recordFromWire({ ...wire, data: [...wire.data] })).toEqual({
    type: "TXT",
    name: "x",
    ttlSeconds: 1,
    strings: ["a=b", "c"],
  });
  expect(recordFromWire({ ...wire, data: Buffer.from("single") })).toMatchObject({ strings: ["single"] });
});

test("RFC 6762 §10.2: records that are ours alone carry the cache-flush bit, shared ones do not", () => {
  expect(RECORDS.map((record) => "flush" in recordToWire(record))).toEqual([false, true, true, true, true]);
});

test("record types that nobody asks for are ignored", () => {
  expect(
    recordFromWire({ type: "NSEC", name: "x", data: { nextDomain: "x", rrtypes: ["A"] } }),
  ).toBeUndefined();
  expect(recordFromWire({ type: "CNAME", name: "x", data: "y" })).toBeUndefined();
});

test("two nodes on one port: a question is heard, and the answer comes back with all its records", async () => {
  const port = await freePort();
  const questions: DnsQuestion[] = [{ type: "PTR", name: "_skein._tcp.local" }];
  const responder = start(port, {
    queried: (asked) => {
      expect(asked).toEqual(questions);
      responder.respond(RECORDS);
    },
  });
  const answer = await new Promise<{ records: readonly DnsRecord[]; from: string }>((resolve) => {
    const browser = start(port, { answered: (records, from) => resolve({ records, from }) });
    repeat(() => browser.query(questions));
  });
  expect(answer.records).toEqual(RECORDS);
  expect(isIP(answer.from)).toBe(4);
});

test("malformed packets are ignored, and the next good one is heard", async () => {
  const port = await freePort();
  const stranger = createSocket({ type: "udp4", reuseAddr: true });
  await new Promise<void>((resolve) => stranger.bind(0, "127.0.0.1", resolve));
  stranger.setMulticastInterface("127.0.0.1");
  const asked = await new Promise<readonly DnsQuestion[]>((resolve) => {
    const dns = start(port, { queried: (questions) => resolve(questions) });
    repeat(() => {
      stranger.send(Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0xc0]), port, "224.0.0.251");
      stranger.send(Buffer.alloc(0), port, "224.0.0.251");
      dns.query([{ type: "ANY", name: "x.local" }]);
    });
  });
  expect(asked).toEqual([{ type: "ANY", name: "x.local" }]);
  stranger.close();
});

test("a port that cannot be shared: failed is called once, and discovery goes on without", async () => {
  const blocker = createSocket("udp4");
  await new Promise<void>((resolve) => blocker.bind(0, "0.0.0.0", resolve));
  const failures: Error[] = [];
  const { port } = blocker.address() as AddressInfo;
  let dns: MulticastDns | undefined;
  await new Promise<void>((resolve) => {
    dns = start(port, {
      failed: (error) => {
        failures.push(error);
        // The library reports one failure twice; give the second the chance to come.
        setImmediate(() => setImmediate(resolve));
      },
    });
  });
  dns?.query([{ type: "PTR", name: "x" }]);
  dns?.respond(RECORDS);
  expect(failures).toHaveLength(1);
  expect(failures[0]).toMatchObject({ code: "EADDRINUSE" });
  await new Promise<void>((resolve) => blocker.close(resolve));
});

test("stop before the socket is ready leaves no timer and no socket behind", async () => {
  const before = process.getActiveResourcesInfo();
  const port = await freePort();
  const dns = start(port, {});
  dns.query([{ type: "PTR", name: "x" }]);
  dns.stop();
  dns.stop();
  dns.query([{ type: "PTR", name: "x" }]);
  for (let turn = 0; turn < 1000 && count("UDPWRAP", before) > 0; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(count("UDPWRAP", before)).toBe(0);
  expect(count("Timeout", before)).toBe(0);
});

test("own addresses are addresses, without loopback and without link-local ones", () => {
  for (const address of multicastDns({ log }).localAddresses()) {
    expect(isIP(address)).toBeGreaterThan(0);
    expect(address).not.toMatch(/^127\.|^::1$|^fe80:/i);
  }
});

/** More resources of a kind than `before`. */
function count(kind: string, before: readonly string[]): number {
  const of = (list: readonly string[]): number => list.filter((name) => name === kind).length;
  return of(process.getActiveResourcesInfo()) - of(before);
}

/** UDP may lose a packet, also on loopback: sends until the test has what it waits for (its end stops the nodes). */
function repeat(send: () => void): void {
  send();
  const timer = setInterval(send, 50);
  timer.unref();
  stops.push(() => clearInterval(timer));
}

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});
