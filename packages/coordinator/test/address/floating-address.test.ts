import type { Log, LogFields } from "@skein/kernel";
import { expect, test } from "vitest";
import { FloatingAddress, type InterfaceView } from "../../src/index.ts";
import { FakeProcesses } from "../support/fake-processes.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const REPLACE = "addr replace 10.0.0.9/32 dev eth0 valid_lft 2 preferred_lft 2";
const DELETE = "addr del 10.0.0.9/32 dev eth0";
const START = "start ip -force -batch -";
const PROBE = "arping -D -c 2 -w 2 -I eth0 10.0.0.9";
const TRIAL = "socat -u /dev/null IP4-SENDTO:127.0.0.1:6";
const MEMBER = "02:00:00:00:00:02";
const PRINTER = "aa:bb:cc:00:00:01";
const ETH0: InterfaceView = {
  mac: "02:00:00:00:00:01",
  addresses: [
    { address: "10.0.0.1", prefixLength: 24 },
    { address: "fd00::1", prefixLength: 64 },
  ],
};
const ARPING = ["arping -U -c 1 -w 1 -I eth0 10.0.0.9", "arping -A -c 1 -w 1 -I eth0 10.0.0.9"];

function setUp(text = "10.0.0.9") {
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
  const machine = { interface: ETH0 as InterfaceView | undefined, sleptMs: 0, knowsMember: true };
  const address = new FloatingAddress(
    { address: text, networkInterface: "eth0" },
    {
      clock,
      process,
      log: { ...log, error: log.warn },
      resetClients: (which) => void process.calls.push(`reset ${which}`),
      otherWay: "home.local",
      interfaceOf: () => machine.interface,
      bootMs: () => 5000 + clock.monotonicMs() + machine.sleptMs,
      isMember: (mac) => mac === MEMBER && machine.knowsMember,
      contested: () => void process.calls.push("contested"),
      suspended: () => void process.calls.push("suspended"),
    },
  );
  /** A leader whose heartbeats are answered every 250 ms, or a stand-in, for `ms`. */
  const lead = (ms: number, isElected = true): void => {
    for (let passed = 0; passed < ms; passed += 250) {
      address.update({ isGiven: true, isElected, confirmedAt: clock.monotonicMs() });
      clock.advance(250);
    }
  };
  return { clock, process, warnings, address, lead, machine };
}

test.each([
  "RTNETLINK answers: Cannot assign requested address",
  "Error: ipv4: Address not found.",
  "Error: ipv6: address not found.",
])(
  "start removes an address that a killed process left behind; that there is none (%s) is no problem",
  (complaint) => {
    const { process, address } = setUp();
    address.start();
    expect(process.take()).toEqual([START, DELETE, TRIAL, PROBE]);
    process.complain(complaint);
    process.complain("Command failed -:1");
    expect(address.problem).toBeUndefined();
    expect(address.isHeld).toBe(false);
  },
);

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
  const others = process.take().filter((line) => line !== REPLACE && line !== DELETE);
  expect(others.every((line) => line === PROBE)).toBe(true);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/^No permission to set addresses \(CAP_NET_ADMIN\)\..* use home\.local/);
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

test.each(["Error: ipv4: Device not found.", "Error: ipv6: Unable to find the interface."])(
  "an interface that comes back under another number (%s): ip, which remembers the old one, is started anew",
  (complaint) => {
    const { clock, process, address, lead } = setUp();
    address.start();
    lead(250);
    process.take();
    process.complain(complaint);
    process.complain(complaint);
    expect(process.take().filter((call) => call === "kill")).toHaveLength(1);
    process.exit();
    clock.advance(500);
    expect(process.take()).toContain(START);
    lead(5000);
    expect(address.problem).toBeUndefined();
    expect(address.isHeld).toBe(true);
  },
);

test("an address that works again is announced again: another node may have had it meanwhile", () => {
  const { process, address, lead } = setUp();
  address.start();
  lead(10_000);
  const announcements = (): number => process.take().filter((call) => /^arping -[UA]/.test(call)).length;
  announcements();
  process.complain('Cannot find device "eth0"');
  lead(5000);
  expect(address.isHeld).toBe(true);
  expect(announcements()).toBeGreaterThanOrEqual(8);
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
  process.missing.add("arping");
  address.start();
  lead(6000);
  expect(address.isHeld).toBe(true);
  expect(address.problem).toBeUndefined();
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain("iputils-arping");
});

test("without CAP_NET_RAW: one sentence for all that takes it, with the way out, from the start on; the address is held", () => {
  const { process, address, warnings, lead } = setUp();
  for (const program of ["arping", "socat"]) process.forbidden.add(program);
  address.start();
  expect(warnings).toHaveLength(1);
  address.tickleOnTaking([{ ip: Uint8Array.of(10, 0, 0, 77), port: 50_000, serverPort: 1883 }]);
  lead(6000);
  expect(address.isHeld).toBe(true);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/^No permission to send raw packets \(CAP_NET_RAW\): .*--cap-add NET_RAW/);
  expect(warnings[0]).not.toContain("apt install");
  expect(address.warnings).toEqual(warnings);
});

test("where the address cannot be set at all, what would work less well is no reason of its own", () => {
  const { process, address, lead } = setUp();
  process.complaint = "RTNETLINK answers: Operation not permitted";
  process.forbidden.add("arping");
  address.start();
  lead(3000);
  expect(address.problem).toMatch(/CAP_NET_ADMIN.*--cap-add NET_ADMIN/);
  expect(address.warnings).toEqual([]);
});

test("a probe that could not be made once is no lasting warning, also where the address is not held", () => {
  const { clock, process, address } = setUp();
  process.missing.add("arping");
  address.start();
  expect(address.warnings).toHaveLength(1);
  process.missing.delete("arping");
  for (let passed = 0; passed < 3000; passed += 250) {
    address.update({ isGiven: false, isElected: false, confirmedAt: undefined });
    clock.advance(250);
  }
  expect(address.warnings).toEqual([]);
});

test("stop resets clients, ends the batch ip and the shell, then deletes; afterwards nothing is set any more", () => {
  const { clock, process, address, lead } = setUp();
  address.start();
  lead(1000);
  process.take();
  let isDone = false;
  address.stop(() => {
    isDone = true;
  });
  expect(process.take()).toEqual(["reset 10.0.0.9", "kill", "end", `ip ${DELETE}`]);
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
  expect(process.take()).toEqual(["kill", "end"]);
});

// Setting up, strangers, sleep, tickle

test("an interface that is not there: one sentence with the next command; used when it comes", () => {
  const { process, address, warnings, lead, machine } = setUp();
  machine.interface = undefined;
  address.start();
  lead(5000);
  expect(process.take()).not.toContain(REPLACE);
  expect(address.problem).toMatch(/^There is no network interface eth0 .* ip addr$/);
  expect(warnings).toEqual([address.problem]);
  machine.interface = ETH0;
  lead(5000);
  expect(address.problem).toBeUndefined();
  expect(address.isHeld).toBe(true);
});

test("an address outside the interface's network is never taken, and the sentence names the network", () => {
  const { process, address, warnings, lead, machine } = setUp();
  machine.interface = { mac: ETH0.mac, addresses: [{ address: "192.168.1.20", prefixLength: 24 }] };
  address.start();
  lead(10_000);
  expect(process.take()).not.toContain(REPLACE);
  expect(address.problem).toBe(
    "The floating address 10.0.0.9 is outside the network of eth0 (eth0 has 192.168.1.20/24). Choose a free address inside it and set --vip.",
  );
  expect(warnings).toEqual([address.problem]);
});

test("an address that a stranger answers for is never taken, and the sentence names its Ethernet address", () => {
  const { process, address, warnings, lead } = setUp();
  process.answering = [PRINTER.toUpperCase()];
  address.start();
  lead(20_000);
  expect(process.take()).not.toContain(REPLACE);
  expect(address.problem).toBe(
    "10.0.0.9 already answers ARP (MAC aa:bb:cc:00:00:01, maybe a printer). Choose another address.",
  );
  expect(warnings).toEqual([address.problem]);
  // The printer got another address: whoever is waited for does not wait any longer.
  process.answering = [];
  lead(2000);
  expect(address.problem).toBeUndefined();
  expect(address.isHeld).toBe(true);
});

test("the same for an IPv6 address; and a stranger that shows up while it is held is reported in the same words", () => {
  const { process, address, warnings, lead } = setUp("fd00::9");
  process.answering = [PRINTER];
  address.start();
  lead(20_000);
  expect(address.isHeld).toBe(false);
  expect(address.problem).toBe(
    "fd00::9 already answers neighbour discovery (MAC aa:bb:cc:00:00:01, maybe a printer). Choose another address.",
  );
  process.answering = [];
  lead(2000);
  expect([address.problem, address.isHeld]).toEqual([undefined, true]);
  process.answering = [PRINTER];
  lead(31_000);
  expect(address.isHeld).toBe(true);
  expect(warnings.at(-1)).toMatch(
    /^Another host answers for the floating address fd00::9 too \(MAC aa:bb:cc:00:00:01/,
  );
  expect(address.warnings).toEqual([warnings.at(-1)]);
});

test("an interface that cannot send yet is asked again every second, and after 3 s the address is taken all the same", () => {
  const { process, address, lead } = setUp("fd00::9");
  const questions = (): number => process.take().filter((line) => line.startsWith("socat -x")).length;
  const notYet = { exitCode: 1, output: "socat[7] E sendto(5): Cannot assign requested address\n" };
  process.result = notYet;
  address.start();
  lead(2000);
  expect([questions(), address.isHeld]).toEqual([3, false]);
  // Now it can, and a stranger answers.
  process.answering = [PRINTER];
  process.result = { exitCode: 0, output: "" };
  lead(5000);
  expect(address.isHeld).toBe(false);
  expect(address.problem).toMatch(/already answers/);

  const other = setUp("fd00::9");
  other.process.result = notYet;
  other.address.start();
  other.lead(2750);
  expect(other.address.isHeld).toBe(false);
  other.lead(500);
  expect(other.address.isHeld).toBe(true);
});

test("what IPv6 lacks without socat is said of socat, not of arping", () => {
  const { process, address, lead } = setUp("fd00::9");
  process.missing.add("socat");
  address.start();
  lead(1000);
  expect(address.isHeld).toBe(true);
  expect(address.warnings).toHaveLength(2);
  for (const warning of address.warnings) expect(warning).toMatch(/socat: .* apt install socat$/);
});

test("a member that still answers is no stranger: the elected node takes the address at once", () => {
  const { process, address, warnings, lead } = setUp();
  process.answering = [MEMBER];
  address.start();
  lead(250);
  expect(address.isHeld).toBe(true);
  expect(warnings).toEqual([]);
});

test("who answered before the node knew a single member is no stranger once it is known: nobody waits for another probe", () => {
  const { clock, process, address, warnings, lead, machine } = setUp();
  machine.knowsMember = false;
  process.answering = [MEMBER];
  address.start();
  clock.advance(1000);
  machine.knowsMember = true;
  process.take();
  lead(250);
  expect(address.isHeld).toBe(true);
  expect(process.take()).not.toContain(PROBE);
  expect(warnings).toEqual([]);
});

test("nor is it reported any longer as a host that has the held address, too", () => {
  const { process, address, lead, machine } = setUp();
  address.start();
  lead(9000);
  machine.knowsMember = false;
  process.answering = [MEMBER];
  lead(40_000);
  expect(address.warnings).toHaveLength(1);
  machine.knowsMember = true;
  lead(250);
  expect(address.warnings).toEqual([]);
});

test("a stranger that shows up later is reported with its Ethernet address, and the address is defended", () => {
  const { process, address, warnings, lead } = setUp();
  address.start();
  lead(9000);
  process.take();
  process.answering = [PRINTER];
  lead(5000);
  expect(process.take().filter((line) => line === ARPING[0])).toHaveLength(1);
  expect(address.isHeld).toBe(true);
  expect(address.problem).toBeUndefined();
  expect(address.warnings).toEqual(warnings);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(
    /^Another host answers for the floating address 10\.0\.0\.9 too \(MAC aa:bb:cc:00:00:01/,
  );
  process.answering = [];
  lead(25_000);
  expect(address.warnings).toEqual([]);
});

test("a holder asks every 10 s who else has the address; elected, and answered by nobody, every 30 s", () => {
  const { process, address, lead } = setUp();
  const questions = (): number => process.take().filter((line) => line === PROBE).length;
  address.start();
  lead(1000, false);
  questions();
  lead(60_000, false);
  expect(questions()).toBe(6);
  lead(10_000);
  questions();
  lead(60_000);
  expect(questions()).toBe(2);
  // The quorum is lost right after a question: who has one may take the address.
  lead(10_000, false);
  expect(questions()).toBe(1);
  lead(10_000);
  process.answering = [PRINTER];
  lead(30_000);
  questions();
  lead(60_000);
  expect(questions()).toBe(6);
});

test("while it holds the address a member that answers for it too is told of", () => {
  const { process, address, lead } = setUp();
  address.start();
  lead(9000);
  process.answering = [MEMBER];
  lead(2000);
  expect(process.take().filter((line) => line === "contested")).toHaveLength(1);
});

test("a machine that slept drops the address at once, clients first", () => {
  const { clock, process, address, lead, machine } = setUp();
  address.start();
  lead(1000);
  process.take();
  machine.sleptMs = 201;
  address.update({ isGiven: true, isElected: true, confirmedAt: clock.monotonicMs() - 1 });
  expect(process.take()).toEqual(["reset 10.0.0.9", DELETE, "suspended"]);
  expect(address.isHeld).toBe(false);
  clock.advance(50);
  address.update({ isGiven: true, isElected: true, confirmedAt: clock.monotonicMs() });
  expect(address.isHeld).toBe(true);
});

test("a machine that does not hold the address notices within a second that it slept", () => {
  const { clock, process, address, machine } = setUp();
  address.start();
  const look = (): void => {
    clock.advance(250);
    address.update({ isGiven: false, isElected: false, confirmedAt: undefined });
  };
  for (let looks = 0; looks < 8; looks++) look();
  process.take();
  machine.sleptMs = 5000;
  for (let looks = 0; looks < 5; looks++) look();
  expect(process.take().filter((line) => line === "suspended")).toHaveLength(1);
});

test("clients of the past holder are tickled three times, after the announcement, each from the port it used", () => {
  const { process, address, lead } = setUp();
  address.start();
  process.take();
  const connections = [
    { ip: Uint8Array.of(10, 0, 0, 77), port: 50_000, serverPort: 1883 },
    { ip: Uint8Array.of(10, 0, 0, 78), port: 50_001, serverPort: 9001 },
    // Of the other family: it was never connected to this address.
    { ip: new Uint8Array(16), port: 1, serverPort: 1883 },
  ];
  address.tickleOnTaking(connections);
  lead(3000);
  const calls = process.take().filter((line) => !line.startsWith("addr") && line !== PROBE);
  const tickles = [
    "socat -u - IP4-SENDTO:10.0.0.77:6,bind=10.0.0.9",
    "socat -u - IP4-SENDTO:10.0.0.78:6,bind=10.0.0.9",
  ];
  expect(calls.slice(0, 6)).toEqual([...ARPING, ...ARPING, ...tickles]);
  expect(calls.filter((line) => line.startsWith("socat"))).toEqual([...tickles, ...tickles, ...tickles]);
  expect(process.inputs.map((input) => new DataView(input.buffer).getUint16(0))).toEqual([
    1883, 9001, 1883, 9001, 1883, 9001,
  ]);
});

test("who takes the address of fifty clients starts none of the programs for its many packets itself: each would stop the event loop", () => {
  const { process, address, lead } = setUp();
  address.start();
  process.take();
  address.tickleOnTaking(
    Array.from({ length: 50 }, (_, at) => ({
      ip: Uint8Array.of(10, 0, 0, 77),
      port: 50_000 + at,
      serverPort: 1883,
    })),
  );
  lead(5500);
  const packets = process.take().filter((line) => /^arping -[UA]|^socat -u/.test(line));
  expect(packets).toHaveLength(2 * 6 + 3 * 50);
  // The batch `ip`.
  expect(process.started).toBe(1);
});

test("when a split heals, who keeps the address tickles those again whose tickles were on their way, and a stand-in that is elected announces it", () => {
  const { process, address, lead } = setUp();
  address.start();
  address.tickleOnTaking([{ ip: Uint8Array.of(10, 0, 0, 77), port: 50_000, serverPort: 1883 }]);
  lead(2000, false);
  const taken = (): { tickles: number; announcements: number } => {
    const calls = process.take();
    const count = (start: string): number => calls.filter((line) => line.startsWith(start)).length;
    return { tickles: count("socat -u -"), announcements: count("arping -U") };
  };
  expect(taken().tickles).toBe(2);
  lead(3000);
  expect(taken()).toEqual({ tickles: 3, announcements: 5 });
  // They have had time to notice.
  address.reunited();
  lead(4000);
  expect(taken()).toEqual({ tickles: 0, announcements: 5 });
});

test("who loses the address before it has tickled them all does it when it takes it again", () => {
  const { clock, process, address, lead } = setUp();
  address.start();
  address.tickleOnTaking([{ ip: Uint8Array.of(10, 0, 0, 77), port: 50_000, serverPort: 1883 }]);
  lead(250);
  address.update({ isGiven: false, isElected: false, confirmedAt: undefined });
  clock.advance(5000);
  process.take();
  address.tickleOnTaking([]);
  lead(3000);
  expect(process.take().filter((line) => line.startsWith("socat"))).toHaveLength(3);
});

test("a missing socat is one sentence with the next command, from the start on; the address works", () => {
  const { process, address, warnings, lead } = setUp();
  process.missing.add("socat");
  address.start();
  address.tickleOnTaking([{ ip: Uint8Array.of(10, 0, 0, 77), port: 50_000, serverPort: 1883 }]);
  lead(3000);
  expect(address.isHeld).toBe(true);
  expect(address.warnings).toEqual(warnings);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/socat.*apt install socat$/);
});
