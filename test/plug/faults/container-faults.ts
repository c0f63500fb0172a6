/** Containers of Skein, and what can be done to them: a power cut, a freeze, a pulled cable. */

import type { ContainerMesh } from "../../containers/support/mesh.ts";
import type { NodeContainer } from "../../containers/support/node-container.ts";
import type { Broker } from "../clients/roaming-client.ts";
import type { FaultKind } from "../settings.ts";
import type { FaultHook } from "./fault-schedule.ts";

const MQTT_PORT = 1883;
const WHOLE_MAX_MS = 60_000;

export class ContainerFaults implements FaultHook {
  readonly #mesh: ContainerMesh;

  constructor(mesh: ContainerMesh) {
    this.#mesh = mesh;
  }

  async strike(kind: FaultKind, broker: number): Promise<void> {
    const node = this.#node(broker);
    if (kind === "kill") await node.kill();
    else if (kind === "pause") await node.pause();
    else await node.unplug();
  }

  async undo(kind: FaultKind, broker: number): Promise<void> {
    const node = this.#node(broker);
    if (kind === "kill") await node.start();
    else if (kind === "pause") await node.unpause();
    else await node.plugIn();
  }

  async whole(): Promise<void> {
    await this.#mesh.healthy(WHOLE_MAX_MS);
  }

  #node(broker: number): NodeContainer {
    return this.#mesh.nodes[broker] as NodeContainer;
  }
}

/** The nodes as brokers, each wherever it is now. */
export function containerBrokers(mesh: ContainerMesh): readonly Broker[] {
  return mesh.nodes.map((node) => ({
    name: node.name,
    port: MQTT_PORT,
    get host() {
      return node.address;
    },
  }));
}
