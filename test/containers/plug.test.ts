/**
 * P3, P5 to P9: what was acknowledged survives, whichever node loses its power, freezes or loses its cable under load.
 *
 * A bounded form of `npm run plug`, which runs for five minutes (`test/plug`).
 */

import { describe, expect, test } from "vitest";
import { ContainerFaults, containerBrokers } from "../plug/faults/container-faults.ts";
import { tableOf } from "../plug/report.ts";
import { run } from "../plug/run.ts";
import { settingsFrom } from "../plug/settings.ts";
import { findEngine, IMAGE } from "./support/engine.ts";
import { ContainerMesh } from "./support/mesh.ts";

const FORMATION_MS = 60_000;
const LOAD =
  "--seconds 28 --rate 250 --qos1 25 --qos2 10 --subscribers 16 --fan-out 2 --fault-every 8 --fault-for 5 --will-grace 30 --drain 90";

/**
 * What two nodes do not keep while the voter is away (docs/guarantees.md, "Without a quorum"): messages come before the log has them, to who
 * comes back meanwhile out of order, and now and then again after the heal; and the side that has the vote decides about wills without
 * hearing of the other side. The node without a quorum serves the members of a shared subscription as it knows them.
 */
const NOT_BY_TWO: ReadonlySet<string> = new Set([
  "QoS 2 messages come once",
  "QoS 2 messages come to one member of a shared subscription, once",
  "QoS 1 messages come to another member of a shared subscription only after a lost connection, or sent twice",
  "first deliveries keep the order of each publisher",
  "no will comes after its client was back",
]);

const engine = await findEngine();
const say = (line: string): void => void process.stderr.write(`  [containers] ${line}\n`);

describe.skipIf(engine === undefined)("the plug is pulled under load", () => {
  // Side by side: neither measures times, and most of theirs is waiting.
  test.concurrent.for([3, 2])(
    "of %i nodes: nothing that was acknowledged is lost, and every promise is kept that so many nodes give",
    async (count, { onTestFinished }) => {
      if (engine === undefined) return;
      const mesh = await ContainerMesh.create(engine, { count, image: IMAGE, hasHealthCheck: false });
      onTestFinished(() => mesh.remove());
      await mesh.start();
      await mesh.healthy(FORMATION_MS);
      const settings = settingsFrom([...LOAD.split(" "), "--nodes", String(count)]);
      if (settings === undefined) throw new Error("no settings");
      const result = await run(settings, containerBrokers(mesh), new ContainerFaults(mesh), (line) =>
        say(`of ${count} nodes: ${line}`),
      );
      say(`of ${count} nodes:\n${tableOf(result)}`);
      const judged = result.judgements.filter(({ promise }) => count > 2 || !NOT_BY_TWO.has(promise));
      expect(judged.filter(({ broken }) => broken > 0)).toEqual([]);
      expect(result.faults.length).toBeGreaterThan(0);
      await mesh.sameRetained(30_000);
    },
  );
});
