/** R5: two boxes are a mesh. Whichever dies, the other one keeps the address and serves; both come together again. */

import { performance } from "node:perf_hooks";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from "vitest";
import { answersAgain, connect, readRetained } from "./support/clients.ts";
import { findEngine, IMAGE } from "./support/engine.ts";
import { eventually } from "./support/eventually.ts";
import { HolderWatch, longestOverlapMs } from "./support/holder-watch.ts";
import { ContainerMesh } from "./support/mesh.ts";

/** The survivor has no quorum to ask: it waits for the holder's silence, then asks the wire whether anybody answers. */
const ADDRESS_BACK_MS = 6000;
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
    await eventually("both are there and one holds the address", { withinMs: 40_000 }, async () => {
      await mesh.formed(0);
      mesh.holder();
    });
    onTestFailed(async () => {
      for (const node of mesh.nodes) say(`${node.name}:\n${await node.logTail()}`);
    });
  });

  afterAll(async () => {
    await mesh?.remove();
  });

  test.each(["the holder", "the other one"] as const)(
    "R5: %s loses its cable; the address answers again, retained messages are there, and both come together",
    async (which) => {
      // It may have moved back a moment ago, and a client believes no other announcement for a second.
      await answersAgain(mesh.vip, ADDRESS_BACK_MS);
      const writer = await connect(mesh.vip);
      await writer.publishAsync("two/before", "kept", { qos: 1, retain: true });
      await writer.endAsync();
      await mesh.sameRetained(10_000);

      const holder = mesh.holder();
      const lost = which === "the holder" ? holder : mesh.nodes.find((node) => node !== holder);
      const survivor = mesh.nodes.find((node) => node !== lost);
      await lost?.unplug();
      const { afterMs } = await answersAgain(mesh.vip, ADDRESS_BACK_MS * 3);
      say(`two nodes, ${which} gone: address ${afterMs} ms`);
      expect(afterMs).toBeLessThanOrEqual(ADDRESS_BACK_MS);
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
