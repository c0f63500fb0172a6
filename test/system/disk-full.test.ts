/**
 * A disk without room, with real nodes on a real file system: a small tmpfs, filled to the last byte.
 *
 * What is meant to last is refused where it could not be kept, everything else goes on, and so does all of it when there
 * is room again, without anybody's help (reference design 1.10). Needs root, to mount.
 */

import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MqttClient } from "mqtt";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../containers/support/eventually.ts";
import { connect, gather, publishMany } from "../support/mqtt-clients.ts";
import { makeNode, type NodeProcess, startMesh, waitUntilHealthy } from "../support/node-process.ts";

const QUOTA_EXCEEDED = 0x97;
const canMount = process.platform === "linux" && process.getuid?.() === 0;

/** A file system of 4 MiB that can be filled; gone with the test. */
class SmallDisk {
  readonly folder = mkdtempSync(join(tmpdir(), "skein-small-"));

  constructor() {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", this.folder]);
  }

  fill(): void {
    // Ever smaller pieces, until not even a byte finds room.
    for (let bytes = 1 << 20; bytes > 0; bytes >>= 1) {
      try {
        for (;;) appendFileSync(this.#filler, new Uint8Array(bytes));
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
      }
    }
  }

  free(): void {
    rmSync(this.#filler, { force: true });
  }

  remove(): void {
    execFileSync("umount", ["--lazy", this.folder]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #filler(): string {
    return join(this.folder, "filler");
  }
}

function smallDisk(): SmallDisk {
  const disk = new SmallDisk();
  onTestFinished(() => disk.remove());
  return disk;
}

/** Publishes retained messages with QoS 1, 1000 bytes each; returns what was acknowledged when the first is refused. */
async function publishUntilRefused(client: MqttClient, prefix: string): Promise<readonly string[]> {
  const acknowledged: string[] = [];
  // A journal may have room for more in a block that it already has, but never for so much.
  for (let at = 0; at < 3000; at++) {
    const topic = `${prefix}/${at}`;
    try {
      await client.publishAsync(topic, "x".repeat(1000), { qos: 1, retain: true });
    } catch (error) {
      expect(error).toMatchObject({ code: QUOTA_EXCEEDED });
      return acknowledged;
    }
    acknowledged.push(topic);
  }
  throw new Error("3000 messages of 1000 bytes were acknowledged on a full disk");
}

async function topicsOf(node: NodeProcess): Promise<readonly string[]> {
  return (await node.retained()).entries.map(({ topic }) => topic);
}

test.runIf(canMount)(
  "a node without room refuses what is meant to last with 0x97, serves everything else, and goes on by itself when there is room",
  async () => {
    const disk = smallDisk();
    const lone = await makeNode({ name: "lone", dataFolder: disk.folder });
    onTestFinished(() => lone.remove());
    await lone.start();
    const [writer, listener] = [await connect(lone), await connect(lone)];
    await listener.subscribeAsync("live/#", { qos: 1 });

    disk.fill();
    const acknowledged = await publishUntilRefused(writer, "kept");
    const { health, reasons } = await lone.waitForStatus("its disk is full", ({ reasons }) =>
      reasons.some((reason) => reason.includes("disk of this node is full")),
    );
    expect({ health, reasons: reasons.length }).toEqual({ health: "degraded", reasons: 1 });

    // A 3.1.1 client cannot be told, so it is disconnected rather than deceived.
    const old = await connect(lone, { protocolVersion: 4 });
    const closed = new Promise<void>((resolve) => old.once("close", resolve));
    old.publish("kept/old", "x", { qos: 1, retain: true });
    await closed;

    const heard = gather(listener, 3);
    await writer.publishAsync("live/once", "1", { qos: 1 });
    await writer.publishAsync("live/perhaps", "2", { qos: 0 });
    // Its subscribers get it, though nobody keeps it.
    await writer.publishAsync("live/state", "3", { qos: 0, retain: true });
    expect((await heard).map(({ topic }) => topic)).toEqual(["live/once", "live/perhaps", "live/state"]);

    disk.free();
    await lone.waitForLog("that there is room", ({ msg }) => msg === "there is room on the disk again");
    await writer.publishAsync("kept/last", "x", { qos: 1, retain: true });
    await lone.waitForStatus("is healthy", (status) => status.health === "healthy");
    await lone.kill();
    await lone.start();
    expect(new Set(await topicsOf(lone))).toEqual(new Set([...acknowledged, "kept/last"]));
  },
);

test.runIf(canMount)(
  "a mesh whose coordinator has no room goes on under another one, and the full node catches up when there is room",
  async () => {
    const disks = [smallDisk(), smallDisk(), smallDisk()];
    const mesh = await startMesh(3, (at) => ({ dataFolder: (disks[at] as SmallDisk).folder }));
    onTestFinished(() => mesh.remove());
    const { coordinator } = await (mesh.nodes[0] as NodeProcess).status();
    const statuses = await Promise.all(mesh.nodes.map((node) => node.status()));
    const full = statuses.findIndex(({ node }) => node === coordinator);
    const [fullNode, other] = [mesh.nodes[full], mesh.nodes[(full + 1) % 3]] as [NodeProcess, NodeProcess];
    const [near, far] = [await connect(fullNode), await connect(other)];

    disks[full]?.fill();
    const kept = await publishUntilRefused(near, "near");
    // Twice what the full node could write with the room it had held back.
    const payload = "y".repeat(1000);
    await publishMany(far, 2000, (at) => ({ topic: `far/${at % 500}`, payload, qos: 1, retain: true }));
    expect((await other.status()).coordinator).not.toBe(coordinator);
    expect(fullNode.log.map(({ msg }) => msg)).toContainEqual(
      expect.stringContaining("handing leadership over"),
    );
    await expect(near.publishAsync("near/refused", "x", { qos: 1, retain: true })).rejects.toMatchObject({
      code: QUOTA_EXCEEDED,
    });

    disks[full]?.free();
    await waitUntilHealthy(mesh.nodes);
    await eventually("the same retained set everywhere", { withinMs: 20_000, everyMs: 100 }, async () => {
      const sets = await Promise.all(mesh.nodes.map((node) => node.retained()));
      for (const { count, digest } of sets)
        expect({ count, digest }).toEqual({ count: kept.length + 500, digest: sets[0]?.digest });
    });
  },
);

test.runIf(canMount)(
  "a node that is started where there is no room says so, and starts when there is",
  async () => {
    const disk = smallDisk();
    const lone = await makeNode({ name: "lone", dataFolder: disk.folder });
    onTestFinished(() => lone.remove());
    await lone.start();
    const client = await connect(lone);
    disk.fill();
    // Takes the room held back.
    const kept = await publishUntilRefused(client, "kept");
    await lone.kill();
    disk.fill();
    lone.launch();
    expect(await lone.exited()).toEqual({ code: 1, signal: null });
    expect(lone.errorText).toContain("no space left on the device (ENOSPC)");
    disk.free();
    await lone.start();
    expect(new Set(await topicsOf(lone))).toEqual(new Set(kept));
  },
);
