/** A network that drops multicast, and a node that gets another address on it (namespaces; needs root and iptables). */

import { afterAll, beforeAll, expect, test } from "vitest";
import { Boxes, dropMulticast, isRoot, type Pair, runIn } from "../support/boxes.ts";
import { NetworkLab } from "../support/network-lab.ts";

let pair: Pair;

beforeAll(async () => {
  const made = await Boxes.pair([NetworkLab.address(11)]);
  if (made === undefined) return;
  pair = made;
  const { first, second } = pair;
  for (const { namespace } of [first, second]) dropMulticast(namespace);
  await first.node.start();
  second.node.launch();
  await second.node.serving();
});

afterAll(() => pair?.boxes.remove());

test.runIf(isRoot)(
  "R30: that multicast is dropped is said in the status, and once in the log",
  async () => {
    const { node } = pair.first;
    const isSaid = (text: string): boolean =>
      text.startsWith("Cannot see pi12 by mDNS, but it answers unicast.");
    await node.waitForStatus("names whom it cannot see", ({ notes }) => notes.some(isSaid), 100_000);
    await node.waitForLog("that it cannot see it", ({ msg }) => msg.startsWith("Cannot see "));
    expect(node.log.filter(({ msg }) => msg.startsWith("Cannot see "))).toHaveLength(1);
  },
  120_000,
);

test.runIf(isRoot)(
  "a node that gets another address is found again, and the others say what it was",
  async () => {
    const { first, second } = pair;
    const [before, after] = [NetworkLab.address(12), NetworkLab.address(22)];
    runIn(second.namespace, "ip", "addr", "add", `${after}/24`, "dev", "eth0");
    runIn(second.namespace, "ip", "addr", "del", `${before}/24`, "dev", "eth0");
    // With the first address of a network its others go.
    runIn(second.namespace, "ip", "addr", "replace", `${after}/24`, "dev", "eth0");
    const { members } = await first.node.waitForStatus("says that pi12 moved", ({ notes }) =>
      notes.some((note) => note.startsWith(`pi12 has another address: ${after}, was ${before}.`)),
    );
    expect(members.find(({ name }) => name === "pi12")).toMatchObject({
      state: "alive",
      address: `${after}:${Boxes.linkPort}`,
    });
  },
);
