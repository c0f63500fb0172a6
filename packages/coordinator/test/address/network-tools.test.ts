/** The commands for an IPv6 address; most of those for IPv4 are in floating-address.test.ts, where they are seen at work. */

import { parseIp } from "@skein/kernel";
import { expect, test } from "vitest";
import { type Lack, NetworkTools, type ProbeResult } from "../../src/address/network-tools.ts";
import { neighbourAdvertisement, neighbourSolicitation, tickleSegment } from "../../src/address/packets.ts";
import { FakeProcesses } from "../support/fake-processes.ts";

const ADDRESS = parseIp("fd00::250") as Uint8Array;
const MAC = "02:00:00:00:00:07";
const OWN = "02:00:00:00:00:01";
const ASK =
  "socat -x -t 0.4 - IP6-DATAGRAM:[ff02::1:ff00:250]:58,so-bindtodevice=eth0,setsockopt-int=41:18:255,setsockopt-int=41:19:0";

function setUp(ownMac = OWN) {
  const process = new FakeProcesses();
  const machine: { mac: string | undefined } = { mac: ownMac };
  const options = { address: "fd00::250", networkInterface: "eth0" };
  const tools = new NetworkTools(options, process, () => machine.mac);
  return { process, tools, machine };
}

/** What `socat -x` writes about a packet that it received or (`>`) sent. */
function dumped(packet: Uint8Array, direction: "<" | ">" = "<"): string {
  const bytes = Array.from(packet, (byte) => ` ${byte.toString(16).padStart(2, "0")}`).join("");
  const last = packet.length - 1;
  return `${direction} 2026/11/28 19:05:20.000989516  length=${packet.length} from=0 to=${last}\n${bytes}\n`;
}

/** What a probe finds when socat ends so. */
function probed(output: string, exitCode: number | null = 0): ProbeResult | undefined {
  const { process, tools } = setUp();
  process.result = { exitCode, output };
  let found: ProbeResult | undefined;
  tools.probe((result) => {
    found = result;
  });
  return found;
}

test("it is set for 2 s, without asking who has it, and never preferred for the node's own connections", () => {
  const { tools } = setUp();
  expect(tools.renewLine).toBe("addr replace fd00::250/128 dev eth0 valid_lft 2 preferred_lft 0 nodad");
  expect(tools.deleteLine).toBe("addr del fd00::250/128 dev eth0");
});

test("it is announced by an unsolicited neighbour advertisement to all nodes, with hop limit 255, on that interface", () => {
  const { process, tools, machine } = setUp(MAC);
  let failures = 0;
  tools.announce(() => failures++);
  expect(process.take()).toEqual([
    "socat -u - IP6-SENDTO:[ff02::1]:58,bind=[fd00::250],so-bindtodevice=eth0,setsockopt-int=41:18:255",
  ]);
  expect(process.inputs).toEqual([neighbourAdvertisement(ADDRESS, Uint8Array.of(2, 0, 0, 0, 0, 7))]);
  machine.mac = undefined;
  tools.announce(() => failures++);
  expect([process.take(), failures]).toEqual([[], 0]);
  machine.mac = MAC;
  process.missing.add("socat");
  tools.announce(() => failures++);
  expect(failures).toBe(1);
});

test("a probe solicits whoever has the address, as its neighbour and unheard by the own kernel, and listens for 400 ms", () => {
  const { process, tools } = setUp();
  const found: ProbeResult[] = [];
  tools.probe((result) => found.push(result));
  expect(process.take()).toEqual([ASK]);
  expect(process.inputs).toEqual([neighbourSolicitation(ADDRESS, Uint8Array.of(2, 0, 0, 0, 0, 1))]);
  expect(found).toEqual([{ macs: [] }]);
});

const ANSWER = neighbourAdvertisement(ADDRESS, Uint8Array.of(2, 0, 0, 0, 0, 7));
const OTHER = neighbourAdvertisement(ADDRESS, Uint8Array.of(0xaa, 0xbb, 0xcc, 0, 0, 1));
const QUESTION = dumped(neighbourSolicitation(ADDRESS, Uint8Array.of(2, 0, 0, 0, 0, 1)), ">");

test.each([
  ["its own question", QUESTION, []],
  ["an answer", QUESTION + dumped(ANSWER), [MAC]],
  ["two answers", QUESTION + dumped(ANSWER) + dumped(OTHER), [MAC, "aa:bb:cc:00:00:01"]],
  [
    "an answer that is meant for another",
    dumped(neighbourAdvertisement(new Uint8Array(16), ANSWER.subarray(26))),
    [],
  ],
  ["an echo request and an answer", dumped(Uint8Array.of(128, 0, 1)) + dumped(ANSWER), [MAC]],
  ["an advertisement that it sent itself", dumped(ANSWER, ">"), []],
  ["an answer that was cut off", dumped(ANSWER.subarray(0, 31)), []],
  ["no bytes at all", "< 2026/11/28\n\n", []],
])("of what is heard, %s: answered by the right ones", (_what, output, macs) => {
  expect(probed(output)).toEqual({ macs });
});

test("a probe says whether its program is missing or forbidden; what was heard before socat failed counts", () => {
  expect(probed("2026/11/28 socat[7] E socket(10, 3, 58): Operation not permitted\n", 1)).toBe("forbidden");
  expect(probed("", 127)).toBe("missing");
  // As socat says it while the interface still asks whether somebody has its own address.
  const sending = dumped(ANSWER, ">");
  expect(probed(`${sending}2026/11/28 socat[7] E sendto(5, ...): Cannot assign requested address\n`, 1)).toBe(
    "unsent",
  );
  expect(probed(dumped(ANSWER), 1)).toEqual({ macs: [MAC] });
});

test.each([
  ["arping: Device eth0 not available.\n", 2, "unsent"],
  ["arping: socket: Operation not permitted\n", 2, "forbidden"],
  ["sh: 1: arping: Operation not permitted\n", 126, "forbidden"],
  ["sh: 1: arping: not found\n", 127, "missing"],
  ["spawn sh EPERM", 127, "forbidden"],
  ["spawn sh ENOENT", 127, "missing"],
  ["ARPING 10.0.0.9 from 0.0.0.0 eth0\n", null, { macs: [] }],
  // Its shell has died: it has asked nobody.
  ["", 1, "unsent"],
])("arping that ends with %j and exit code %j: %j", (output, exitCode, expected) => {
  const process = new FakeProcesses();
  process.openShell = () => ({
    run: (_script, _args, _limit, done) => done({ exitCode, output }),
    end: () => {},
  });
  const tools = new NetworkTools({ address: "10.0.0.9", networkInterface: "eth0" }, process, () => OWN);
  let found: ProbeResult | undefined;
  tools.probe((result) => {
    found = result;
  });
  expect(found).toEqual(expected);
});

test("without an interface nothing is asked", () => {
  const { process, tools, machine } = setUp();
  machine.mac = undefined;
  let found: ProbeResult | undefined;
  tools.probe((result) => {
    found = result;
  });
  expect([process.take(), found]).toEqual([[], "unsent"]);
});

test("a client of the past holder is tickled from the address; clients of the other family never had it", () => {
  const { process, tools } = setUp();
  const client = { ip: parseIp("fd00::77") as Uint8Array, port: 50_000, serverPort: 1883 };
  const lacks: (Lack | undefined)[] = [];
  tools.tickle([client], (lack) => lacks.push(lack));
  expect(process.take()).toEqual(["socat -u - IP6-SENDTO:[fd00::77]:6,bind=[fd00::250]"]);
  expect(process.inputs).toEqual([tickleSegment({ ip: ADDRESS, port: 1883 }, client)]);
  expect(tools.fits(client)).toBe(true);
  expect(tools.fits({ ...client, ip: Uint8Array.of(10, 0, 0, 77) })).toBe(false);
  process.missing.add("socat");
  tools.tickle([client], (lack) => lacks.push(lack));
  expect(lacks).toEqual([undefined, "missing"]);
});
