/**
 * What a node does for `skein test-failover` and `skein drill`: at the node that the operator asks, and at the one that is meant.
 *
 * A drill is carried out by the node itself, on purpose with as little help as in earnest: a killed one says nothing to anybody, a
 * stopped one stands still, a cut one hears and says nothing. No rights are needed for that.
 */

import { type Clock, type NodeId, SkeinError } from "@skein/kernel";
import type { Member } from "@skein/mesh";
import type { NodeStatus } from "../node-status.ts";
import { type Drill, type NodeAnswer, type NodeRequest, NodeRequests } from "./node-requests.ts";
import { drillRefusal, moveRefusal } from "./refusals.ts";

const ORDER_TIMEOUT_MS = 2000;
const COUNT_TIMEOUT_MS = 700;
/** From the answer to what it announces, so that the answer gets out. */
const DRILL_AFTER_MS = 200;
/** Longest drill. */
const DRILL_MAX_MS = 600_000;

export interface ExercisePorts {
  readonly clock: Clock;
  readonly status: () => NodeStatus;
  readonly members: () => readonly Member[];
  readonly send: (to: NodeId, bytes: Uint8Array) => void;
  /** Leads no more, if it does. False: it does not lead. */
  readonly moveLeadership: () => boolean;
  /** MQTT clients served here that came through the floating address. */
  readonly addressClients: () => number;
  /** Connections that end here when the address goes: its own, and those that it passes on. */
  readonly addressConnections: () => number;
  /** Undefined if this node can do that; else why not. */
  readonly cannot: (drill: Drill) => string | undefined;
  readonly carryOut: (drill: Drill, forMs: number) => void;
}

/** How the clients of the floating address are. */
export interface AddressClients {
  readonly clients: number;
  /** Ids of the nodes that answered. */
  readonly answered: readonly string[];
}

export class Exercises {
  readonly #ports: ExercisePorts;
  readonly #requests: NodeRequests;

  constructor(ports: ExercisePorts) {
    this.#ports = ports;
    this.#requests = new NodeRequests({
      self: () => ports.status().node as NodeId,
      clock: ports.clock,
      send: ports.send,
      answer: (request) => this.#answer(request),
    });
  }

  /** A frame of another node. */
  receive(from: NodeId, bytes: Uint8Array): void {
    this.#requests.receive(from, bytes);
  }

  /**
   * Has the coordinator hand over, and the address with it. Returns how many connections that resets.
   * @throws {SkeinError} ERR_SKEIN_REFUSED
   */
  async moveAddress(): Promise<number> {
    const status = this.#ports.status();
    refuse(moveRefusal(status));
    return this.#requests.ask(status.coordinator as NodeId, { kind: "moveAddress" }, ORDER_TIMEOUT_MS);
  }

  /** Asks all nodes that are up. */
  async addressClients(): Promise<AddressClients> {
    const nodes = this.#ports.members().filter(({ state }) => state === "alive" || state === "suspect");
    const counts = await Promise.allSettled(
      nodes.map(({ id }) => this.#requests.ask(id, { kind: "addressClients" }, COUNT_TIMEOUT_MS)),
    );
    const answered = nodes.flatMap(({ id }, at) => (counts[at]?.status === "fulfilled" ? [id] : []));
    const clients = counts.reduce((sum, said) => sum + (said.status === "fulfilled" ? said.value : 0), 0);
    return { clients, answered };
  }

  /** Has another node fail. @throws {SkeinError} ERR_SKEIN_REFUSED */
  async drill(node: string, drill: Drill, forMs: number, isForced: boolean): Promise<void> {
    refuse(drillRefusal(this.#ports.status(), node, drill, isForced));
    await this.#requests.ask(node as NodeId, { kind: "drill", drill, forMs }, ORDER_TIMEOUT_MS);
  }

  #answer(request: NodeRequest): NodeAnswer {
    const { addressClients, addressConnections, moveLeadership, cannot, carryOut, clock } = this.#ports;
    if (request.kind === "addressClients") return { count: addressClients() };
    if (request.kind === "moveAddress") {
      const count = addressConnections();
      return moveLeadership() ? { count } : { error: "The coordinator has just changed. Try again." };
    }
    const { drill, forMs } = request;
    const reason = forMs > DRILL_MAX_MS ? "A drill takes ten minutes at most." : cannot(drill);
    if (reason !== undefined) return { error: reason };
    clock.after(DRILL_AFTER_MS, () => carryOut(drill, forMs));
    return { count: 0 };
  }
}

function refuse(sentence: string | undefined): void {
  if (sentence !== undefined) throw new SkeinError("ERR_SKEIN_REFUSED", sentence);
}
