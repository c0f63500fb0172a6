/**
 * R20 on a real network of namespaces: nodes find each other by mDNS, and where its packets are dropped by address, remembered or
 * given; and a node that gets another address is found again. Needs root and iptables.
 */

import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launcherIn, NetworkLab } from "../../support/network-lab.ts";
import { makeNode, type NodeProcess, newMeshKey } from "../../support/node-process.ts";

const isRoot = process.getuid?.() === 0;
const MDNS = ["-p", "udp", "--dport", "5353", "-j", "DROP"];
const PORTS = { mqtt: 1883, link: 7883, http: 7880 };

interface Box {
  readonly namespace: string;
  readonly node: NodeProcess;
}

let lab: NetworkLab;
const boxes: Box[] = [];
const meshKey = newMeshKey();

beforeAll(() => {
  if (!isRoot) return;
  lab = new NetworkLab();
  lab.join(1);
});

afterAll(async () => {
  await Promise.all(boxes.map(({ node }) => node.remove()));
  lab?.remove();
});

/** A box at `address(host)`. */
async function connect(host: number, peers: readonly string[] = []): Promise<Box> {
  const namespace = lab.connect(host);
  const node = await makeNode({
    name: `pi${host}`,
    ports: PORTS,
    host: NetworkLab.address(host),
    launcher: launcherIn(namespace),
    meshKey,
    peers,
    isMdnsEnabled: true,
    // Its address may change under it.
    args: ["--allow-anonymous", "--link", `0.0.0.0:${PORTS.link}`],
  });
  boxes.push({ namespace, node });
  return { namespace, node };
}

function run(namespace: string, ...command: readonly string[]): void {
  const [program = "", ...args] = [...launcherIn(namespace), ...command];
  execFileSync(program, args);
}

/** From now on no packet of mDNS comes in or goes out. */
function dropMulticast(namespace: string): void {
  for (const chain of ["INPUT", "OUTPUT"]) run(namespace, "iptables", "-A", chain, ...MDNS);
}

/** How long it takes until `node` has links to `others`, from now on. */
async function linkedAfterMs(node: NodeProcess, others: number): Promise<number> {
  const begun = performance.now();
  await node.waitForLog(`a link to ${others} others`, () => {
    const peers = node.log.filter(({ msg }) => msg === "link up").map(({ peer }) => peer);
    return new Set(peers).size >= others;
  });
  return performance.now() - begun;
}

test.runIf(isRoot)("R20: two nodes find each other by mDNS within 5 s", async () => {
  const first = await connect(11);
  await first.node.start();
  const second = await connect(12);
  second.node.launch();
  expect(await linkedAfterMs(second.node, 1)).toBeLessThan(5000);
  await second.node.serving();
});

test.runIf(isRoot)(
  "R20: without multicast they are linked again within 10 s of a restart of both",
  async () => {
    const [first, second] = boxes as [Box, Box];
    for (const { namespace } of boxes) dropMulticast(namespace);
    await Promise.all(boxes.map(({ node }) => node.stop()));
    for (const { node } of boxes) node.launch();
    const took = await Promise.all(boxes.map(({ node }) => linkedAfterMs(node, 1)));
    expect(Math.max(...took)).toBeLessThan(10_000);
    await Promise.all([first.node.serving(), second.node.serving()]);
  },
);

test.runIf(isRoot)(
  "R20: without multicast a new node finds the mesh by one address without a port, within 10 s",
  async () => {
    const third = await connect(13, [NetworkLab.address(11)]);
    dropMulticast(third.namespace);
    third.node.launch();
    expect(await linkedAfterMs(third.node, 2)).toBeLessThan(10_000);
    await third.node.serving();
  },
);

test.runIf(isRoot)(
  "R30: that multicast is dropped is said in the status, and once in the log",
  async () => {
    const { node } = boxes[0] as Box;
    const isSaid = (text: string): boolean =>
      text.startsWith("Cannot see pi12, pi13 by mDNS, but they answer unicast.");
    await node.waitForStatus("names whom it cannot see", ({ notes }) => notes.some(isSaid), 100_000);
    await node.waitForLog("that it cannot see them", ({ msg }) => msg.startsWith("Cannot see "));
    expect(node.log.filter(({ msg }) => msg.startsWith("Cannot see "))).toHaveLength(1);
  },
  120_000,
);

test.runIf(isRoot)(
  "a node that gets another address is found again, and the others say what it was",
  async () => {
    const [first, second] = boxes as [Box, Box];
    const [before, after] = [NetworkLab.address(12), NetworkLab.address(22)];
    run(second.namespace, "ip", "addr", "add", `${after}/24`, "dev", "eth0");
    run(second.namespace, "ip", "addr", "del", `${before}/24`, "dev", "eth0");
    // With the first address of a network its others go.
    run(second.namespace, "ip", "addr", "replace", `${after}/24`, "dev", "eth0");
    const { members } = await first.node.waitForStatus("says that pi12 moved", ({ notes }) =>
      notes.some((note) => note.startsWith(`pi12 has another address: ${after}, was ${before}.`)),
    );
    expect(members.find(({ name }) => name === "pi12")).toMatchObject({
      state: "alive",
      address: `${after}:${PORTS.link}`,
    });
  },
);
