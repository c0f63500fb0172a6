/** Nodes of Skein as processes of this machine, and what can be done to them without root: a kill and a freeze. */

import { type NodeProcess, type TestMesh, waitUntilHealthy } from "../../support/node-process.ts";
import type { Broker } from "../clients/roaming-client.ts";
import type { FaultKind } from "../settings.ts";
import type { FaultHook } from "./fault-schedule.ts";

const WHOLE_MAX_MS = 60_000;

export class ProcessFaults implements FaultHook {
  readonly #mesh: TestMesh;

  constructor(mesh: TestMesh) {
    this.#mesh = mesh;
  }

  async strike(kind: FaultKind, broker: number): Promise<void> {
    if (kind === "kill") await this.#node(broker).kill();
    else this.#signal(broker, "SIGSTOP");
  }

  async undo(kind: FaultKind, broker: number): Promise<void> {
    if (kind === "kill") await this.#node(broker).start();
    else this.#signal(broker, "SIGCONT");
  }

  async whole(): Promise<void> {
    await waitUntilHealthy(this.#mesh.nodes, WHOLE_MAX_MS);
  }

  #signal(broker: number, signal: NodeJS.Signals): void {
    const { pid } = this.#node(broker);
    if (pid !== undefined) process.kill(pid, signal);
  }

  #node(broker: number): NodeProcess {
    return this.#mesh.nodes[broker] as NodeProcess;
  }
}

export function processBrokers({ nodes }: TestMesh): readonly Broker[] {
  return nodes.map(({ name, host, ports }) => ({ name, host, port: ports.mqtt }));
}
