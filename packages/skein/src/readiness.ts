/**
 * When a node may let clients in.
 *
 * A node that has just started has yesterday's retained messages, or none at all. So it keeps its ports closed (P11: closed,
 * never a refusal) until its replica is current (P8): it proposes a command that changes nothing, and when that comes back
 * through the log, everything committed before it is here too. What the clients of other nodes want comes with the links to
 * those, so it waits for the nodes that it has heard of as well, and until it has heard of one if its cluster has others, or a message would be
 * acknowledged that some of them miss (P4); not for long, because two nodes may have no way to each other. But publishing never needs a quorum (P3): where no
 * coordinator is found in time the node serves what it has, and says that it is degraded.
 */

import type { CoordinatorStatus, Retained } from "@skein/coordinator";
import { type Clock, type NodeId, SAFE_HERE_ONLY, type Timer } from "@skein/kernel";
import type { Member } from "@skein/mesh";

/** Longest founding (browse 5 s, then its own election) and longest lan election (4.8 s) both fit in. */
export const COORDINATOR_WAIT_MAX_MS = 10_000;
/** A coordinator is there and the replica is being filled: a full snapshot over slow Wi-Fi takes its time. */
export const REPLICA_WAIT_MAX_MS = 60_000;
/** From then on, until there are links to all nodes that are alive: each takes a few ways there and back. */
export const LINKS_WAIT_MAX_MS = 1000;
/** An answer that says nothing about the log is asked for again after that. */
const ASK_AGAIN_MS = 1000;

/** Deleting what nobody sets changes nothing, but takes its place in the log. */
const NOTHING = { topic: "$skein/ready", payload: new Uint8Array(0), qos: 1, retain: true } as const;

/** Why clients were let in. */
export type ReadyReason = "current" | "no coordinator" | "slow replica";

/** Whether `self` has links to all that are alive. Who knows of nobody, although its cluster has others, has only just started. */
export function hasLinks(
  members: readonly Member[],
  { voters, learners }: Pick<CoordinatorStatus, "voters" | "learners">,
  self: NodeId,
): boolean {
  const isReached = ({ id, state, isLinked }: Member): boolean =>
    isLinked || state !== "alive" || id === self;
  return members.every(isReached) && (members.length > 1 || voters.length + learners.length <= 1);
}

export class Readiness {
  readonly #clock: Pick<Clock, "after">;
  readonly #retained: Pick<Retained, "put">;
  readonly #hasLinks: () => boolean;
  readonly #reached: (reason: ReadyReason) => void;
  /** The replica is. */
  #isCurrent = false;
  #timer: Timer | undefined;
  #askAgain: Timer | undefined;
  #isOver = false;

  /**
   * `retained` and `status` are the coordinator's, before it has started. `hasLinks`: to all nodes that are alive, as far as it can know. `reached` is called
   * once, when clients may be let in; never after `stop`.
   */
  constructor(
    clock: Pick<Clock, "after">,
    retained: Pick<Retained, "put">,
    status: () => Pick<CoordinatorStatus, "hasQuorum">,
    hasLinks: () => boolean,
    reached: (reason: ReadyReason) => void,
  ) {
    this.#clock = clock;
    this.#retained = retained;
    this.#hasLinks = hasLinks;
    this.#reached = reached;
    this.#timer = clock.after(COORDINATOR_WAIT_MAX_MS, () => {
      if (!status().hasQuorum) {
        this.#reach("no coordinator");
        return;
      }
      const rest = REPLICA_WAIT_MAX_MS - COORDINATOR_WAIT_MAX_MS;
      this.#timer = clock.after(rest, () => this.#reach("slow replica"));
    });
    this.#ask();
  }

  /** There may be a link more, or a node less. */
  membersChanged(): void {
    if (this.#isCurrent && this.#hasLinks()) this.#reach("current");
  }

  /** Gives up waiting. */
  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#askAgain?.cancel();
    this.#askAgain = undefined;
  }

  #ask(): void {
    this.#retained.put(
      { ...NOTHING, properties: undefined },
      { settle: (reasonCode) => this.#answered(reasonCode) },
    );
  }

  #answered(reasonCode: number): void {
    if (this.#isOver) return;
    // Taken without a quorum it has not been through the log.
    if (reasonCode === SAFE_HERE_ONLY) {
      this.#askAgain = this.#clock.after(ASK_AGAIN_MS, () => this.#ask());
      return;
    }
    this.#isCurrent = true;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(LINKS_WAIT_MAX_MS, () => this.#reach("current"));
    this.membersChanged();
  }

  #reach(reason: ReadyReason): void {
    if (this.#isOver) return;
    this.stop();
    this.#reached(reason);
  }
}
