/**
 * R20 on a real network of namespaces: nodes find each other by mDNS, and where its packets are dropped by address, remembered or
 * given. Needs root and iptables.
 */

import { afterAll, beforeAll, expect, test } from "vitest";
import { type Box, Boxes, dropMulticast } from "../../support/boxes.ts";
import { NetworkLab } from "../../support/network-lab.ts";
import type { NodeProcess } from "../../support/node-process.ts";

const isRoot = process.getuid?.() === 0;

let boxes: Boxes;
let first: Box;
let second: Box;

beforeAll(async () => {
  if (!isRoot) return;
  boxes = new Boxes();
  first = await boxes.connect(11);
  second = await boxes.connect(12);
});

afterAll(() => boxes?.remove());

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
  await first.node.start();
  second.node.launch();
  expect(await linkedAfterMs(second.node, 1)).toBeLessThan(5000);
  await second.node.serving();
});

test.runIf(isRoot)(
  "R20: without multicast they are linked again within 10 s of a restart of both",
  async () => {
    const both = [first, second];
    for (const { namespace } of both) dropMulticast(namespace);
    await Promise.all(both.map(({ node }) => node.stop()));
    for (const { node } of both) node.launch();
    const took = await Promise.all(both.map(({ node }) => linkedAfterMs(node, 1)));
    expect(Math.max(...took)).toBeLessThan(10_000);
    await Promise.all(both.map(({ node }) => node.serving()));
  },
);

test.runIf(isRoot)(
  "R20: without multicast a new node finds the mesh by one address without a port, within 10 s",
  async () => {
    const third = await boxes.connect(13, [NetworkLab.address(11)]);
    dropMulticast(third.namespace);
    third.node.launch();
    expect(await linkedAfterMs(third.node, 2)).toBeLessThan(10_000);
    await third.node.serving();
  },
);
