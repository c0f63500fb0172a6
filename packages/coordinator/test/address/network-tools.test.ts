/** The commands for an IPv6 address; those for IPv4 are in floating-address.test.ts, where they are seen at work. */

import { expect, test } from "vitest";
import { parseIp } from "../../src/address/ip-address.ts";
import { NetworkTools, type ProbeResult } from "../../src/address/network-tools.ts";
import { neighbourAdvertisement, tickleSegment } from "../../src/address/packets.ts";
import { FakeProcesses } from "../support/fake-processes.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const ADDRESS = parseIp("fd00::250") as Uint8Array;
const MAC = "02:00:00:00:00:07";
const FORGET = "ip -6 neigh del fd00::250 dev eth0";
const ASK = "socat -u - UDP6-SENDTO:[fd00::250%eth0]:9";
const LOOK = "ip -6 neigh show to fd00::250 dev eth0";

function setUp() {
  const clock = new VirtualClock();
  const process = new FakeProcesses();
  const tools = new NetworkTools({ address: "fd00::250", networkInterface: "eth0" }, process, clock);
  return { clock, process, tools };
}

/** What a probe finds when the kernel's neighbour table says `neighbour`. */
function probed(neighbour: string): ProbeResult | undefined {
  const { clock, process, tools } = setUp();
  let found: ProbeResult | undefined;
  tools.probe((result) => {
    found = result;
  });
  process.result = { exitCode: 0, stdout: neighbour, stderr: "" };
  clock.advance(400);
  return found;
}

test("it is set for 2 s, without asking who has it, and never preferred for the node's own connections", () => {
  const { tools } = setUp();
  expect(tools.renewLine).toBe("addr replace fd00::250/128 dev eth0 valid_lft 2 preferred_lft 0 nodad");
  expect(tools.deleteLine).toBe("addr del fd00::250/128 dev eth0");
});

test("it is announced by an unsolicited neighbour advertisement to all nodes, with hop limit 255, on that interface", () => {
  const { process, tools } = setUp();
  let failures = 0;
  tools.announce(MAC, () => failures++);
  expect(process.take()).toEqual([
    "socat -u - IP6-SENDTO:[ff02::1]:58,bind=[fd00::250],so-bindtodevice=eth0,setsockopt-int=41:18:255",
  ]);
  expect(process.inputs).toEqual([neighbourAdvertisement(ADDRESS, Uint8Array.of(2, 0, 0, 0, 0, 7))]);
  tools.announce(undefined, () => failures++);
  expect([process.take(), failures]).toEqual([[], 0]);
  process.missing.add("socat");
  tools.announce(MAC, () => failures++);
  expect(failures).toBe(1);
});

test("a probe forgets the past holder, sends one byte to the address, and reads after 400 ms who has answered for it", () => {
  const { clock, process, tools } = setUp();
  const found: ProbeResult[] = [];
  tools.probe((result) => found.push(result));
  expect(process.take()).toEqual([FORGET, ASK]);
  expect(process.inputs).toEqual([new Uint8Array(1)]);
  clock.advance(399);
  expect([process.take(), found]).toEqual([[], []]);
  clock.advance(1);
  expect([process.take(), found]).toEqual([[LOOK], [{ macs: [] }]]);
});

test.each([
  ["fd00::250 lladdr 02:00:00:00:00:07 REACHABLE \n", [MAC]],
  ["fd00::250 lladdr 02:00:00:00:00:07 router STALE \n", [MAC]],
  ["fd00::250 lladdr 02:00:00:00:00:07 FAILED \n", []],
  ["fd00::250 INCOMPLETE \n", []],
  ["fd00::250 FAILED \n", []],
  ["", []],
])("neighbour %j: answered by %j", (neighbour, macs) => {
  expect(probed(neighbour)).toEqual({ macs });
});

test("a probe that cannot be sent has failed, and says so at once", () => {
  const { process, tools } = setUp();
  process.missing.add("socat");
  let found: ProbeResult | undefined;
  tools.probe((result) => {
    found = result;
  });
  expect(found).toBe("failed");
});

test("a client of the past holder is tickled from the address; clients of the other family never had it", () => {
  const { process, tools } = setUp();
  const client = { ip: parseIp("fd00::77") as Uint8Array, port: 50_000, serverPort: 1883 };
  const failed: boolean[] = [];
  tools.tickle(client, (hasFailed) => failed.push(hasFailed));
  expect(process.take()).toEqual(["socat -u - IP6-SENDTO:[fd00::77]:6,bind=[fd00::250]"]);
  expect(process.inputs).toEqual([tickleSegment({ ip: ADDRESS, port: 1883 }, client)]);
  expect(tools.fits(client)).toBe(true);
  expect(tools.fits({ ...client, ip: Uint8Array.of(10, 0, 0, 77) })).toBe(false);
  process.missing.add("socat");
  tools.tickle(client, (hasFailed) => failed.push(hasFailed));
  expect(failed).toEqual([false, true]);
});
