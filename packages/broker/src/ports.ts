/**
 * What the broker needs from its node. The composition root plugs mesh and coordinator in here; the broker knows
 * neither. A broker on its own runs with `loneNodePorts` (lone-node.ts).
 */

import type {
  ApplicationMessage,
  Clock,
  Completion,
  Log,
  Prng,
  SessionStore,
  SharedChoice,
} from "@skein/kernel";

/** What a node adds to `$SYS`. */
export interface NodeFigures {
  /** Of the program. */
  readonly version: string;
  /** When its build was made, as text; undefined: it is run from its sources, or nobody knows. */
  readonly builtAt?: string | undefined;
  /** Of the process; 0: not known. */
  memoryBytes(): number;
  /** Calls `visit` for further values; `$SYS/` comes before each name. */
  visit(visit: (name: string, value: string | number) => void): void;
}

/** Takes messages of local publishers to the other nodes. */
export interface Forwarder {
  /**
   * Sends `message` once to every other node with a matching subscriber and picks exactly one member, mesh-wide, of
   * each matching shared subscription; where that member is local it calls `Broker.deliverShared` before it returns.
   *
   * Returns how many parts `done` will be settled for: one for each node that must accept a QoS >= 1 message.
   * QoS 0: pass undefined; returns 0. Never settles before it has returned. `choice` says which shared subscriptions
   * it leaves to the log, and hears which it serves; undefined: it serves all.
   */
  forward(
    message: ApplicationMessage,
    done: Completion | undefined,
    choice: SharedChoice | undefined,
  ): number;
  /**
   * The part of it that is about shared subscriptions, for a message that all nodes get from the log anyway; but for those in `dealt`,
   * which the log has served. Nobody waits.
   */
  forwardShared(message: ApplicationMessage, dealt: readonly string[]): void;
}

/** Tells the other nodes what this node's subscribers want. Counted: each `add` is matched by one `remove`. */
export interface Interest {
  /** `filter` as in SUBSCRIBE, `$share/...` included. Returns the parts `done` waits for: the SUBACK barrier (P4). */
  add(filter: string, done: Completion): number;
  remove(filter: string): void;
}

/** What a reader may see of the retained store, now and later: it never gets older. */
export interface RetainedView {
  /** Calls `visit` for every retained message that `filter` (no `$share`) matches, in no particular order. */
  match(filter: string, visit: (message: ApplicationMessage) => void): void;
}

/** Who has asked to read the retained store. */
export interface RetainedReader {
  mayRead(view: RetainedView): void;
}

/** The retained store of the mesh, as seen from this node. */
export interface RetainedStore {
  /** Sets, or with an empty payload deletes, the retained message of a topic. Returns the parts `done` waits for. */
  put(message: ApplicationMessage, done: Completion | undefined): number;
  /**
   * Calls `reader.mayRead` once, at once or soon: with a view that is at least as new as every write acknowledged
   * anywhere before this call, or, if that cannot be known for want of a quorum, with what this node has. On a node that is being filled
   * that may take a minute.
   */
  read(reader: RetainedReader): void;
  /** Retained messages held. */
  readonly count: number;
  /** What they take, about, topics and properties included. */
  readonly bytes: number;
}

/** What an authentication method answers to what a client said. */
export type AuthenticationStep =
  | { readonly kind: "continue"; readonly data: Uint8Array }
  /** `identity`: who the client is. `data` goes with the last packet. */
  | { readonly kind: "accepted"; readonly identity: string; readonly data: Uint8Array | undefined }
  /** `reasonCode` is one of CONNACK. */
  | { readonly kind: "refused"; readonly reasonCode: number; readonly reason: string };

/** One authentication of one client. */
export interface AuthenticationExchange {
  /** The client said `data`. Answers at once; called again only after `continue`. */
  step(data: Uint8Array): AuthenticationStep;
}

/** Enhanced authentication (MQTT 5 section 4.12). */
export interface Authenticator {
  /** Undefined: it does not know the method. */
  begin(method: string): AuthenticationExchange | undefined;
}

/** Everything a {@link Broker} is plugged into. */
export interface BrokerPorts {
  readonly forwarder: Forwarder;
  readonly interest: Interest;
  readonly retained: RetainedStore;
  /** The sessions of the mesh; undefined: the broker keeps sessions in its own memory. */
  readonly sessions?: SessionStore | undefined;
  readonly log: Log;
  /** For assigned Client Identifiers: seed it differently on every node. */
  readonly prng: Prng;
  /** Undefined: whoever asks for an Authentication Method is refused. */
  readonly authenticator?: Authenticator | undefined;
  /** Hears that a client's connection from one address was taken over by one from another, or by one on another node (its id). */
  readonly takenOver?: (clientId: string, from: string, by: string) => void;
  /** What `$SYS` tells beyond what the broker knows; undefined: nothing. */
  readonly node?: NodeFigures | undefined;
  /** `atTurnEnd` is asked for once per turn in which there is output. */
  readonly clock: Pick<Clock, "monotonicMs" | "atTurnEnd">;
}
