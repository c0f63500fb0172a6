/**
 * What goes wrong in a simulation, as data: drawn from the seed before anything runs, so that it can be stored, replayed,
 * and shortened until only what matters is left.
 */

import type { Flight } from "../client/leaving.ts";
import type { WorldOptions } from "../world/world.ts";

/** Stands for whichever node leads when the fault strikes. */
export const LEADER = -1;

/** `at` and `forMs` (how long it lasts, or the process or machine stays down) in ms of the world. Nodes by number. */
export type Fault = {
  readonly at: number;
} /** kill -9; with `effects` not at once, but instead of that one of the next effects. */ & (
  | { readonly kind: "crash"; readonly node: number; readonly effects: number; readonly forMs: number }
  /** kill -9 of whichever node acknowledges something next, so long after that. */
  | { readonly kind: "crashAfterAck"; readonly delayMs: number; readonly forMs: number }
  /** kill -9 while the file of its next snapshot is being replaced. */
  | { readonly kind: "crashInSnapshot"; readonly node: number; readonly forMs: number }
  | { readonly kind: "power"; readonly node: number; readonly forMs: number }
  /** Every machine loses power at the same instant; with `afterAckMs` so long after the next acknowledgement. */
  | { readonly kind: "blackout"; readonly afterAckMs: number | undefined; readonly forMs: number }
  | { readonly kind: "stop"; readonly node: number; readonly forMs: number }
  | { readonly kind: "pause"; readonly node: number; readonly forMs: number }
  /** The machine sleeps: its monotonic clock and its kernel's timers stand still. */
  | { readonly kind: "suspend"; readonly node: number; readonly forMs: number }
  /** Another host, no node, has the floating address too. */
  | { readonly kind: "stranger"; readonly forMs: number }
  /** Machines (nodes, then clients) of `side` do not hear the others (`oneWay`), or neither hears the other. */
  | {
      readonly kind: "partition";
      readonly side: readonly number[];
      readonly oneWay: boolean;
      readonly forMs: number;
    }
  /** Two nodes only; all others reach both. */
  | {
      readonly kind: "severed";
      readonly a: number;
      readonly b: number;
      readonly oneWay: boolean;
      readonly forMs: number;
    }
  /** The same for long, as on Wi-Fi with client isolation: they must talk through another. */
  | { readonly kind: "isolated"; readonly a: number; readonly b: number; readonly forMs: number }
  | {
      readonly kind: "clog";
      readonly a: number;
      readonly b: number;
      readonly slowerByMs: number;
      readonly forMs: number;
    }
  | { readonly kind: "cut"; readonly a: number; readonly b: number }
  /** All clients lose their connections to whichever node acknowledges something next, so long after that. */
  | { readonly kind: "clientsCut"; readonly delayMs: number }
  | { readonly kind: "diskStall"; readonly node: number; readonly forMs: number }
  | { readonly kind: "diskFull"; readonly node: number; readonly forMs: number }
  | { readonly kind: "syncError"; readonly node: number }
  /** Power cut, and a bit of a file flips meanwhile. */
  | { readonly kind: "rot"; readonly node: number; readonly forMs: number }
  /** Power cut, and the machine comes back with an empty disk. */
  | { readonly kind: "wipe"; readonly node: number; readonly forMs: number }
  /** Power cut, and the machine comes back with another address. */
  | { readonly kind: "moved"; readonly node: number; readonly forMs: number }
  | { readonly kind: "wallStep"; readonly node: number; readonly byMs: number }
  | { readonly kind: "mdnsSilence"; readonly forMs: number }
  | { readonly kind: "mdnsStale" }
  /** From the start on and for that long these nodes and the others do not reach each other: each side founds a cluster. */
  | { readonly kind: "apart"; readonly side: readonly number[]; readonly forMs: number }
  /** This node is started only now; it is not there while the mesh forms. */
  | { readonly kind: "arrive"; readonly node: number }
  /**
   * The leader crashes. Each of the next `elections` winners is cut off after `delayMs`, for `forMs`, and of the others so
   * many of 1,000 crash. One node is cut off from now until `absentMs` after the first of them (0: none). See plots.ts.
   */
  | {
      readonly kind: "coup";
      readonly node: number;
      readonly elections: number;
      readonly killedPerMille: number;
      readonly delayMs: number;
      readonly forMs: number;
      readonly absentMs: number;
    }
  /** `node` and the leader do not hear each other; after `afterMs` the leader is cut off, all others restart (`downMs`). */
  | {
      readonly kind: "usurp";
      readonly node: number;
      readonly afterMs: number;
      readonly downMs: number;
      readonly forMs: number;
    }
  /** What others say reaches the leader `slowerByMs` later; after `afterMs` nothing that it says reaches them, for `forMs`. */
  | {
      readonly kind: "echo";
      readonly slowerByMs: number;
      readonly afterMs: number;
      readonly forMs: number;
    }
  /** `node` is cut off for `lagMs`; then the disk of `victim` loses something, and the leader crashes for `forMs`. */
  | {
      readonly kind: "amnesia";
      readonly node: number;
      readonly victim: number;
      readonly damage: "power" | "rot" | "wipe";
      readonly lagMs: number;
      readonly downMs: number;
      readonly forMs: number;
    }
  /** The node leaves the mesh for good; after `forMs` its machine starts a new one. */
  | { readonly kind: "leave"; readonly node: number; readonly forMs: number }
  /** Crash; once it counts as dead another node is told to forget it, and after `forMs` it comes back. */
  | { readonly kind: "forget"; readonly node: number; readonly forMs: number }
  /** The node is cut off, and there told to forget another voter: it must not, because the others may go on without it. */
  | { readonly kind: "forgetAlone"; readonly node: number; readonly target: number; readonly forMs: number }
  /** The disk of `node` is copied while it runs, and machine `to` starts from the copy. Its own disk is gone then. */
  | { readonly kind: "clone"; readonly node: number; readonly to: number; readonly forMs: number }
  /** The same while `node` is off, and so often; then `node` comes back, and later the copy beside it (copied-disks.ts). */
  | {
      readonly kind: "standIn";
      readonly node: number;
      readonly to: number;
      readonly starts: number;
      readonly forMs: number;
    }
  /** A client leaves its connection in the middle of a handshake and comes back at once, to any node (client/leaving.ts). */
  | ({ readonly kind: "takeover"; readonly client: number } & Flight)
  /** Crash, for so long that another node takes its place as a voter. */
  | { readonly kind: "replaced"; readonly node: number; readonly forMs: number }
  /**
   * A node of another mesh crashes and comes back: with nothing on its disk (`isWiped`), at an address that a node of this mesh has left
   * (`takesOver`), if one has.
   */
  | {
      readonly kind: "foreign";
      readonly stranger: number;
      readonly isWiped: boolean;
      readonly takesOver: boolean;
      readonly forMs: number;
    }
  /** The node is stopped in order, and started again with another program: of the newest version, or of the one before. */
  | { readonly kind: "update"; readonly node: number; readonly isOutdated: boolean; readonly forMs: number }
  /** Whoever leads hands over on purpose, to the voter that is best prepared, and the clients' address with it. */
  | { readonly kind: "transfer" }
  /** When voters are added next, the network parts between these with their leader and all others. */
  | { readonly kind: "schism"; readonly forMs: number }
);

export type FaultKind = Fault["kind"];

export interface Schedule {
  readonly world: WorldOptions;
  /** Faults strike from here on; before, the mesh forms. */
  readonly chaosFromMs: number;
  readonly chaosUntilMs: number;
  /** Among the clients that it chases some share a subscription. */
  readonly hasSharers?: boolean;
  /** Only clients write, not the nodes themselves (retained-writes.ts). */
  readonly isQuiet?: boolean;
  /** The only clients are some whose messages do not go through the log. */
  readonly hasOnlyTalkers?: boolean;
  /** So many topics are written at the nodes themselves; undefined: few (retained-writes.ts). */
  readonly topics?: number;
  /** Sorted by `at`. */
  readonly faults: readonly Fault[];
}

/** Which schedules may lose what was acknowledged: all nodes without power at once, in the `replicated` profile. */
export function mayLoseAcknowledged({ world, faults }: Schedule): boolean {
  return world.durability === "replicated" && faults.some(({ kind }) => kind === "blackout");
}
