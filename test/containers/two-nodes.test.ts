/** R5: two boxes are a mesh. Whichever dies, the other one keeps the address and serves; both come together again. */

import { performance } from "node:perf_hooks";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from "vitest";
import { answersAgain, connect, readRetained } from "./support/clients.ts";
import { findEngine, IMAGE } from "./support/engine.ts";
import { eventually } from "./support/eventually.ts";
import { HolderWatch, longestOverlapMs } from "./support/holder-watch.ts";
import { expectBack, expectHeard, idleForTest } from "./support/idle-for-test.ts";
import { ContainerMesh } from "./support/mesh.ts";

/** P1 and P2 of the architecture; R5: as with more nodes. */
const ADDRESS_BACK_MS = 5000;
const CLIENTS_BACK_MS = 10_000;
/** A message to those that are connected. */
const SERVED_MS = 2000;
const TWO_HOLDERS_MS = 2600;

const engine = await findEngine();
const say = (line: string): void => void process.stderr.write(`  [containers] ${line}\n`);

describe.skipIf(engine === undefined)("two containers on one bridge network", () => {
  let mesh: ContainerMesh;

  beforeAll(async () => {
    if (engine === undefined) return;
    mesh = await ContainerMesh.create(engine, { count: 2, image: IMAGE });
    await mesh.start();
  });

  beforeEach(async () => {
    await Promise.all(mesh.nodes.map((node) => node.repair()));
    await mesh.healthy(40_000);
    onTestFailed(async () => {
      for (const node of mesh.nodes) say(`${node.name}:\n${await node.logTail()}`);
    });
  });

  afterAll(async () => {
    await mesh?.remove();
  });

  test.each(["the holder", "the other one"] as const)(
    "R5: %s loses its cable; the address answers in 5 s, idle keepalive-60 clients are back in 10 s or never lost, retained messages are there, and both come together",
    async (which) => {
      // It may have moved back a moment ago, and a client believes no other announcement for a second.
      await answersAgain(mesh.vip, ADDRESS_BACK_MS);
      const writer = await connect(mesh.vip);
      await writer.publishAsync("two/before", "kept", { qos: 1, retain: true });
      await writer.endAsync();
      await mesh.sameRetained(10_000);
      const clients = await idleForTest(mesh);

      const holder = mesh.holder();
      const lost = which === "the holder" ? holder : mesh.nodes.find((node) => node !== holder);
      const survivor = mesh.nodes.find((node) => node !== lost);
      const start = performance.now();
      await lost?.unplug();
      const { afterMs } = await answersAgain(mesh.vip, ADDRESS_BACK_MS * 3);
      const backs =
        which === "the holder" ? await expectBack(clients, start, CLIENTS_BACK_MS) : "none was lost";
      await eventually("the survivor knows that it is alone", { withinMs: 15_000 }, async () => {
        const { members } = (await survivor?.status()) ?? { members: [] };
        expect(members.map(({ state }) => state)).toContain("dead");
      });
      const spoken = performance.now();
      const speaker = await connect(mesh.vip);
      await speaker.publishAsync("idle", "anybody there?", { qos: 1 });
      await speaker.endAsync();
      const served = await expectHeard(clients, spoken, SERVED_MS);
      say(`two nodes, ${which} gone: address ${afterMs} ms, clients ${backs}, served ${served}`);
      expect(afterMs).toBeLessThanOrEqual(ADDRESS_BACK_MS);
      if (which === "the other one")
        for (const { connectedAtMs } of clients) expect(connectedAtMs).toBeLessThan(start);
      expect(mesh.holders(survivor === undefined ? [] : [survivor])).toEqual([survivor]);
      await readRetained(mesh.vip, "two/#", (seen) => seen.get("two/before") === "kept");

      const watch = new HolderWatch(mesh.nodes, mesh.vip);
      await lost?.plugIn();
      await eventually("both are one mesh with one holder", { withinMs: 40_000 }, async () => {
        await mesh.formed(0);
        mesh.holder();
      });
      await mesh.sameRetained(15_000);
      watch.stop();
      const overlap = Math.round(longestOverlapMs(watch.changes, performance.now()));
      expect(overlap, "two holders after the heal").toBeLessThanOrEqual(TWO_HOLDERS_MS);
    },
  );
});
