/** What all figures are measured with: the engine, the image, what goes to the terminal, and the mesh that is up. */

import { execFileSync, spawnSync } from "node:child_process";
import { cpus, loadavg, totalmem } from "node:os";
import type { ContainerRuntimeClient } from "testcontainers";
import { IMAGE } from "../containers/support/engine.ts";
import { ContainerMesh } from "../containers/support/mesh.ts";

export type Profile = "lan" | "wired";

export class Laboratory {
  readonly runs: number;
  readonly #engine: ContainerRuntimeClient;
  readonly #open = new Set<ContainerMesh>();

  constructor(engine: ContainerRuntimeClient, runs: number) {
    this.#engine = engine;
    this.runs = runs;
  }

  /** A mesh of containers that are not started; removed with {@link Laboratory.remove} or {@link Laboratory.close}. */
  async mesh(count: number, profile: Profile = "lan"): Promise<ContainerMesh> {
    const environment = { SKEIN_TIMING: profile };
    const options = { count, image: IMAGE, environment, hasHealthCheck: false };
    const mesh = await ContainerMesh.create(this.#engine, options);
    this.#open.add(mesh);
    return mesh;
  }

  async remove(mesh: ContainerMesh): Promise<void> {
    this.#open.delete(mesh);
    await mesh.remove();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((mesh) => this.remove(mesh)));
  }

  say(line: string): void {
    process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
  }
}

/** `2 cores of Intel Xeon, 24 GB, Linux 6.1, Node v24, Docker 20.10`; without the last where no engine answers, which a bench does not need. */
export function machineName(): string {
  const [cpu] = cpus();
  const kernel = execFileSync("uname", ["-r"], { encoding: "utf8" }).trim();
  const { status, stdout } = spawnSync("docker", ["version", "--format", "{{.Server.Version}}"], {
    encoding: "utf8",
  });
  const docker = status === 0 ? `, Docker ${stdout.trim()}` : "";
  const memory = Math.round(totalmem() / 2 ** 30);
  const model = cpu?.model.replace(/\s+/g, " ").trim() ?? "unknown processor";
  return `${cpus().length} cores (${model}), ${memory} GB, Linux ${kernel}, Node ${process.version}${docker}`;
}

/** Short hash of the tree's commit, with a + if the tree has changes. */
export function commitName(): string {
  const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8" }).trim();
  const hasChanges = git("status", "--porcelain", "--untracked-files=no") !== "";
  return git("rev-parse", "--short", "HEAD") + (hasChanges ? "+" : "");
}

export function loadNow(): number {
  return loadavg()[0] ?? 0;
}
