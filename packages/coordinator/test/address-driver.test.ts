import type { Log, LogFields } from "@skein/kernel";
import { expect, test } from "vitest";
import { FloatingAddress } from "../src/index.ts";
import { FakeProcesses } from "./support/fake-processes.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const REPLACE = "addr replace 10.0.0.9/32 dev eth0 valid_lft 2 preferred_lft 2";
const DELETE = "addr del 10.0.0.9/32 dev eth0";
const START = "start ip -force -batch -";
const ARPING = ["arping -U -c 1 -w 1 -I eth0 10.0.0.9", "arping -A -c 1 -w 1 -I eth0 10.0.0.9"];

function setUp() {
  const clock = new VirtualClock();
  const process = new FakeProcesses();
  const warnings: string[] = [];
  const ignore = (_fields: LogFields, _message: string): void => {};
  const log: Log = {
    error: ignore,
    info: ignore,
    debug: ignore,
    warn: (_fields, message) => void warnings.push(message),
  };
  const address = new FloatingAddress(
    { address: "10.0.0.9", networkInterface: "eth0" },
    { clock, process, log, resetClients: (which) => void process.calls.push(`reset ${which}`) },
  );
  /** A leader whose heartbeats are answered every 250 ms, for `ms`. */
  const lead = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 250) {
      address.update({ isLeader: true, quorumContactAt: clock.monotonicMs() });
      clock.advance(250);
    }
  };
  return { clock, process, warnings, address, lead };
}

test("start removes an address that a killed process left behind", () => {
  const { process, address } = setUp();
  address.start();
  expect(process.take()).toEqual([START, DELETE]);
  process.complain("RTNETLINK answers: Cannot assign requested address");
  process.complain("Command failed -:1");
  expect(address.problem).toBeUndefined();
  expect(address.isHeld).toBe(false);
});

test("taking sets the address before it is announced, in both forms of gratuitous ARP", () => {
  const { process, address, lead } = setUp();
  address.start();
  process.take();
  lead(250);
  expect(process.take()).toEqual([REPLACE, ...ARPING, ...ARPING]);
  expect(address.isHeld).toBe(true);
  lead(10_000);
  const renewals = process.take().filter((line) => line === REPLACE);
  expect(renewals.length).toBeGreaterThanOrEqual(19);
  expect(renewals.length).toBeLessThanOrEqual(25);
});

test("without a quorum for 1.5 s it gives up by its own timer: clients first, then the address", () => {
  const { clock, process, address, lead } = setUp();
  address.start();
  lead(1000);
  process.take();
  clock.advance(3000);
  const calls = process.take().filter((line) => !line.startsWith("arping"));
  expect(calls).toEqual(["reset 10.0.0.9", DELETE]);
  expect(address.isHeld).toBe(false);
  clock.advance(60_000);
  expect(process.take()).toEqual([]);
});

test("without permission: one clear warning, not held, nothing thrown, no announcements", () => {
  const { clock, process, address, warnings, lead } = setUp();
  process.complaint = "RTNETLINK answers: Operation not permitted";
  address.start();
  process.take();
  clock.advance(60_000);
  lead(10_000);
  expect(process.take().every((line) => line === REPLACE)).toBe(true);
  expect(warnings).toEqual([
    "No permission to set addresses (CAP_NET_ADMIN). Running without the floating address; use node addresses.",
  ]);
  expect(address.problem).toBe(warnings[0]);
  expect(address.isHeld).toBe(false);
});

test("an interface that comes back is used again", () => {
  const { process, address, warnings, lead } = setUp();
  address.start();
  lead(250);
  process.complain('Cannot find device "eth0"');
  expect(address.problem).toContain("10.0.0.9 on eth0");
  expect(address.isHeld).toBe(false);
  lead(5000);
  expect(address.problem).toBeUndefined();
  expect(address.isHeld).toBe(true);
  expect(warnings).toHaveLength(1);
});

test("a missing ip (not Linux) is one warning; it is tried again with growing pauses", () => {
  const { clock, process, address, warnings, lead } = setUp();
  process.isMissing = true;
  address.start();
  expect(address.problem).toContain("iproute2");
  lead(5000);
  clock.advance(600_000);
  expect(warnings).toHaveLength(1);
  const starts = process.take().filter((line) => line === START).length;
  expect(starts).toBeGreaterThan(5);
  expect(starts).toBeLessThan(40);
  expect(address.isHeld).toBe(false);
});

test("an ip that ends is started again and told the address anew", () => {
  const { process, address, warnings, lead } = setUp();
  address.start();
  lead(3000);
  process.take();
  process.exit();
  lead(1000);
  const calls = process.take().filter((line) => !line.startsWith("arping"));
  expect(calls[0]).toBe(START);
  expect(calls).toContain(REPLACE);
  expect(address.isHeld).toBe(true);
  expect(warnings).toEqual([]);
});

test("a missing arping is one warning; the address is held all the same", () => {
  const { process, address, warnings, lead } = setUp();
  process.result = { exitCode: null, stdout: "", stderr: "spawn arping ENOENT" };
  address.start();
  lead(6000);
  expect(address.isHeld).toBe(true);
  expect(address.problem).toBeUndefined();
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain("iputils-arping");
});

test("stop resets clients, ends the batch ip, then deletes; afterwards nothing is set any more", () => {
  const { clock, process, address, lead } = setUp();
  address.start();
  lead(1000);
  process.take();
  let isDone = false;
  address.stop(() => {
    isDone = true;
  });
  expect(process.take()).toEqual(["reset 10.0.0.9", "kill", `ip ${DELETE}`]);
  clock.advance(1);
  expect(isDone).toBe(true);
  expect(process.running).toBe(0);
  lead(5000);
  expect(process.take()).toEqual([]);
});

test("stop of a node that does not hold the address touches nobody", () => {
  const { clock, process, address } = setUp();
  address.start();
  process.take();
  let isDone = false;
  address.stop(() => {
    isDone = true;
  });
  clock.advance(1);
  expect(isDone).toBe(true);
  expect(process.take()).toEqual(["kill"]);
});
