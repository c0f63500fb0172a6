/** What an exercise sees of the mesh: looks at it through one node, again and again, and keeps the times. */

import { setTimeout as delay } from "node:timers/promises";
import { askNode } from "../cli/admin-client.ts";
import type { NodeStatus } from "../node-status.ts";
import type { AddressClients } from "./exercises.ts";

const LOOK_EVERY_MS = 100;

/** The mesh at one moment. */
export interface Look {
  /** Milliseconds since the watch began. */
  readonly at: number;
  readonly status: NodeStatus;
  /** MQTT clients that came through the floating address. */
  readonly clients: number;
  /** Ids of the nodes that answered. */
  readonly answered: readonly string[];
}

export class MeshWatch {
  readonly #node: string;
  readonly #beganAt = performance.now();

  /** `node`: `host:port` of the admin API. */
  constructor(node: string) {
    this.#node = node;
  }

  get elapsedMs(): number {
    return performance.now() - this.#beganAt;
  }

  /** @throws {SkeinError} ERR_SKEIN_NOT_REACHABLE */
  async look(): Promise<Look> {
    const [status, { clients, answered }] = await Promise.all([
      askNode(this.#node, "/api/status") as Promise<NodeStatus>,
      askNode(this.#node, "/api/address-clients") as Promise<AddressClients>,
    ]);
    return { at: this.elapsedMs, status, clients, answered };
  }

  /** Shows each look to `seen` until that returns true, for at most `timeoutMs`. Returns the last one. */
  async until(timeoutMs: number, seen: (look: Look) => boolean): Promise<Look> {
    for (;;) {
      const look = await this.look();
      if (seen(look) || look.at >= timeoutMs) return look;
      await delay(LOOK_EVERY_MS);
    }
  }
}

/** The name of a node, for people. */
export function nameOf(status: NodeStatus, id: string | null): string {
  return status.members.find((member) => member.id === id)?.name ?? "nobody";
}

/** `1.4 s` */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
