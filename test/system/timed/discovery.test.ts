/**
 * R9 and R20 on a real network of namespaces: nodes find each other by mDNS, and where its packets are dropped by address, remembered or
 * given. Needs root and iptables.
 */

import { afterAll, beforeAll, expect, test } from "vitest";
import { allowMulticast, Boxes, dropMulticast, isRoot, type Pair } from "../../support/boxes.ts";
import { launcherIn, NetworkLab } from "../../support/network-lab.ts";
import { type NodeProcess, runSkein } from "../../support/node-process.ts";

let pair: Pair;

beforeAll(async () => {
  const made = await Boxes.pair();
  if (made !== undefined) pair = made;
});

afterAll(() => pair?.boxes.remove());

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
  const { first, second } = pair;
  await first.node.start();
  second.node.launch();
  expect(await linkedAfterMs(second.node, 1)).toBeLessThan(5000);
  await second.node.serving();
});

test.runIf(isRoot)(
  "R20: without multicast they are linked again within 10 s of a restart of both",
  async () => {
    const both = [pair.first, pair.second];
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
    const third = await pair.boxes.connect(13, { peers: [NetworkLab.address(11)] });
    dropMulticast(third.namespace);
    third.node.launch();
    expect(await linkedAfterMs(third.node, 2)).toBeLessThan(10_000);
    await third.node.serving();
  },
);

test.runIf(isRoot)(
  "R9: a box that is told nothing but a code finds the mesh by mDNS and is a member within 5 s",
  async () => {
    const { boxes, first, second } = pair;
    for (const { namespace } of [first, second]) allowMulticast(namespace);
    const { host, ports } = first.node;
    const invite = ["invite", "--json", "--http", `${host}:${ports.http}`];
    const invited = await runSkein(invite, launcherIn(first.namespace));
    expect(invited).toMatchObject({ code: 0, err: "" });
    const { code } = JSON.parse(invited.out) as { readonly code: string };
    const { cluster } = await first.node.status();
    const stranger = await boxes.connectStranger(14, code);
    const begun = performance.now();
    await stranger.node.start();
    await stranger.node.waitForStatus("is in the cluster", (status) => status.cluster === cluster);
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(stranger.node.errorText).toMatch(/Found mesh "test" \(pi1[123]\)\./);
  },
);
