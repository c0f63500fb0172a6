/**
 * Which nodes have been undisturbed since when: what tells a broken promise from a fault that excuses it.
 *
 * A node is whole while it runs, is not paused, and no `disturbed` is in force for it. Promises that hold without
 * faults ask since when the nodes concerned have been whole; a client whose node is not known concerns all of them.
 */

import type { Observation } from "../observations.ts";

interface Condition {
  isRunning: boolean;
  isPaused: boolean;
  /** `disturbed` not yet matched by `calmed`. */
  disturbances: number;
  /** Since when it has been whole, in the world's ms; undefined: it is not. */
  wholeSince: number | undefined;
  startedAt: number | undefined;
}

export class FaultLedger {
  readonly #nodes = new Map<string, Condition>();

  observe(observation: Observation): void {
    const { node, at } = observation;
    switch (observation.kind) {
      case "started":
        if (node !== undefined) this.#change(node, at, (it) => Object.assign(it, RUNNING, { startedAt: at }));
        return;
      case "stopped":
        if (node !== undefined) this.#stopped(node, at, observation.how);
        return;
      case "disturbed":
        for (const each of observation.nodes) this.#change(each, at, (it) => it.disturbances++);
        return;
      case "calmed":
        for (const each of observation.nodes) this.#change(each, at, (it) => it.disturbances--);
        return;
      default:
    }
  }

  /** Since when `node` has been whole, in the world's ms; undefined: it is not. Without a node: all that run. */
  wholeSince(node: string | undefined): number | undefined {
    if (node !== undefined) return this.#nodes.get(node)?.wholeSince;
    let since = 0;
    for (const { isRunning, wholeSince } of this.#nodes.values()) {
      if (!isRunning) continue;
      if (wholeSince === undefined) return undefined;
      since = Math.max(since, wholeSince);
    }
    return since;
  }

  /**
   * Whether a node that runs is disturbed, and not the only one that nobody can rely on. A leader may then reach a majority of which
   * some disks take nothing, and say that it has its quorum.
   */
  get isMajorityInDoubt(): boolean {
    let missing = 0;
    let isHindered = false;
    for (const { isRunning, disturbances, wholeSince } of this.#nodes.values()) {
      if (wholeSince === undefined) missing++;
      if (isRunning && disturbances > 0) isHindered = true;
    }
    return isHindered && missing > 1;
  }

  /** Whether `node` has been whole ever since it started. */
  isWholeFromStart(node: string): boolean {
    const condition = this.#nodes.get(node);
    return condition?.wholeSince !== undefined && condition.wholeSince === condition.startedAt;
  }

  isRunning(node: string): boolean {
    return this.#nodes.get(node)?.isRunning === true;
  }

  #stopped(node: string, at: number, how: "crash" | "power" | "clean" | "pause" | "resume"): void {
    this.#change(node, at, (it) => {
      if (how === "pause" || how === "resume") it.isPaused = how === "pause";
      else it.isRunning = false;
    });
  }

  #change(node: string, at: number, change: (condition: Condition) => void): void {
    let condition = this.#nodes.get(node);
    if (condition === undefined) {
      condition = {
        isRunning: false,
        isPaused: false,
        disturbances: 0,
        wholeSince: undefined,
        startedAt: undefined,
      };
      this.#nodes.set(node, condition);
    }
    change(condition);
    const isWhole = condition.isRunning && !condition.isPaused && condition.disturbances === 0;
    condition.wholeSince = isWhole ? (condition.wholeSince ?? at) : undefined;
  }
}

const RUNNING = { isRunning: true, isPaused: false } as const;
