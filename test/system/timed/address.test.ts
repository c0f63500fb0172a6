/**
 * P1 and P2 on a real network of namespaces: the address answers again in time and idle clients with keep-alive 60 are back,
 * whatever happens to its holder. Needs root, as setting addresses does.
 */

import { expect, onTestFinished, test } from "vitest";
import { AddressLab, type LabNode, type LabOptions } from "../../support/address-lab.ts";

const IDLE_CLIENTS = 10;
/** One run each, so the worst case counts: an election may have to be repeated. The median is asked to be 4.5 s and 2.5 s. */
const LAN_WORST_MS = 6000;
const WIRED_WORST_MS = 3500;
/** The coordinator asks every 30 s whether somebody else has the address; the rest is for a busy machine. */
const STRANGER_SEEN_MS = 33_000;
const isRoot = process.getuid?.() === 0;

async function startLab(
  options: LabOptions,
): Promise<{ readonly lab: AddressLab; readonly holder: LabNode }> {
  const lab = new AddressLab(options);
  onTestFinished(() => lab.remove());
  await lab.start(IDLE_CLIENTS);
  return { lab, holder: await lab.holder() };
}

test.runIf(isRoot)(
  "P1, P2: the cable of the holder is pulled (lan): address within 6 s, clients within 10 s",
  async () => {
    const { lab, holder } = await startLab({ nodes: 3, timing: "lan" });
    const { addressMs, clientsMs } = await lab.recovery(() => lab.cable(holder, false));
    expect(addressMs).toBeLessThan(LAN_WORST_MS);
    expect(clientsMs).toBeLessThan(10_000);
  },
);

test.runIf(isRoot)(
  "P1, P2: of two nodes the survivor, a learner, takes the address (wired): within 3.5 s",
  async () => {
    const { lab, holder } = await startLab({ nodes: 2, timing: "wired" });
    const { addressMs, clientsMs } = await lab.recovery(() => lab.cable(holder, false));
    expect(addressMs).toBeLessThan(WIRED_WORST_MS);
    expect(clientsMs).toBeLessThan(10_000);
  },
);

test.runIf(isRoot)(
  "P1, P2: the cable of the holder of an IPv6 address is pulled (lan): address within 6 s, clients within 10 s",
  async () => {
    const { lab, holder } = await startLab({ nodes: 3, timing: "lan", family: "IPv6" });
    const { addressMs, clientsMs } = await lab.recovery(() => lab.cable(holder, false));
    expect(addressMs).toBeLessThan(LAN_WORST_MS);
    expect(clientsMs).toBeLessThan(10_000);
  },
);

test.runIf(isRoot)(
  "P1: the holder is stopped (SIGSTOP): its kernel lets go of the address, another node answers",
  async () => {
    const { lab, holder } = await startLab({ nodes: 3, timing: "lan" });
    const { addressMs } = await lab.recovery(() => lab.signal(holder, "SIGSTOP"));
    expect(addressMs).toBeLessThan(LAN_WORST_MS);
  },
);

test.runIf(isRoot)("P1: the event loop of the holder is blocked for 5 s: another node answers", async () => {
  const { lab, holder } = await startLab({ nodes: 3, timing: "lan" });
  const { addressMs } = await lab.recovery(() => lab.block(holder, 5000));
  expect(addressMs).toBeLessThan(LAN_WORST_MS);
});

test.runIf(isRoot)(
  "P1: the file system of the holder is frozen: it gives address and leadership up",
  async () => {
    const { lab, holder } = await startLab({ nodes: 3, timing: "lan", hasDisks: true });
    const { addressMs } = await lab.recovery(() => lab.freeze(holder, true));
    expect(addressMs).toBeLessThan(LAN_WORST_MS);
    expect(holder.log.map(({ msg }) => msg)).toContain("handing leadership over: the disk stands still");
  },
);

test.runIf(isRoot)(
  "P1, P2: an orderly stop: another node has the address within 0.5 s, clients are back within 6 s",
  async () => {
    const { lab, holder } = await startLab({ nodes: 3, timing: "lan" });
    const stoppedAt = Date.now();
    const { clientsMs } = await lab.recovery(() => lab.signal(holder, "SIGTERM"));
    const next = lab.nodes.find((node) => node !== holder && node.isHolder);
    expect((next?.tookAt ?? Number.NaN) - stoppedAt).toBeLessThan(500);
    expect(clientsMs).toBeLessThan(6000);
  },
);

test.runIf(isRoot).each([
  ["IPv4", "ARP"],
  ["IPv6", "neighbour discovery"],
] as const)(
  "a stranger has the %s address: it is refused; one that comes later is reported within 33 s; both by their MAC",
  async (family, protocol) => {
    const lab = new AddressLab({ nodes: 2, timing: "lan", family });
    onTestFinished(() => lab.remove());
    lab.build();
    const stranger = lab.addStranger();
    lab.setOn(stranger, true);
    for (const node of lab.nodes) lab.startNode(node);
    const refusal = `${lab.address} already answers ${protocol} (MAC ${stranger.mac}, maybe a printer). Choose another address.`;
    await Promise.all(lab.nodes.map((node) => lab.said(node, refusal, 20_000)));
    expect(lab.nodes.some((node) => node.isHolder)).toBe(false);
    lab.setOn(stranger, false);
    const holder = await lab.holder();
    lab.setOn(stranger, true);
    const warning = `Another host answers for the floating address ${lab.address} too (MAC ${stranger.mac}, maybe a printer).`;
    await lab.said(holder, warning, STRANGER_SEEN_MS);
    expect(await lab.holder()).toBe(holder);
  },
);
