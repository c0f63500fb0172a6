/**
 * What a checker sees of a simulated world: one closed union, in the order in which things happened.
 *
 * The world knows more than any node does: it sees all of them at one time, its own. Everything a promise speaks about
 * is an observation here, and nothing else is, so that a checker depends on no node's insides.
 */

import type { Clock, Prng, QoS, Stream, StreamHandler } from "@skein/kernel";

/** The packet of a PUBLISH as the client means it; `payloadId` identifies the payload in the whole simulation. */
export interface PublishedPacket {
  readonly topic: string;
  /** Empty, or beginning with a dash: an empty payload, which deletes the retained message. */
  readonly payloadId: string;
  readonly qos: QoS;
  readonly retain: boolean;
  /** Message Expiry Interval. */
  readonly expirySeconds?: number | undefined;
  /** What its payload has besides its id. */
  readonly paddingBytes?: number | undefined;
}

/** The will that a CONNECT brings; its `payloadId` is of that one connection. */
export interface PublishedWill extends PublishedPacket {
  readonly delaySeconds: number;
}

/** A numbered command in the log, and what the node's store then holds for its topic. Values by digest; null: nothing. */
export interface AppliedCommand {
  /** Node id and incarnation. */
  readonly proposer: string;
  readonly incarnation: number;
  readonly seq: number;
  /** The last number that it takes. */
  readonly through: number;
  /** Undefined: no retained write, but it takes a number of its proposer all the same. */
  readonly topic: string | undefined;
  /** Empty where nothing is written, or by a deletion. */
  readonly payloadId: string;
  readonly value: number | null;
  readonly held: number | null;
  /** It was acknowledged without a quorum by a node that had applied the log up to here (0: another cluster's log), at that time. */
  readonly alone: { readonly seenThrough: number; readonly stamp: number } | undefined;
  /** Whether it counts depends on more than the log's order: what the first replica makes of it the others must, too. */
  readonly isHearsay?: boolean;
}

/** A command about clusters in the log, and what the node's store then holds for the topics that it concerns. */
export interface AppliedClusterCommand {
  readonly kind: string;
  /** It fitted the state. */
  readonly isApplied: boolean;
  /** The cluster it names, and which merge with it. */
  readonly other: string;
  readonly cut: number;
  readonly chunk: number;
  readonly topics: readonly { readonly topic: string; readonly held: number | null }[];
  /** All values that lost in merges and are listed, after MERGED only. */
  readonly conflicts: readonly { readonly topic: string; readonly value: number }[];
  /** Payloads that kept sessions are owed, in order, after DISSOLVE and MERGED only. */
  readonly owed: readonly { readonly client: string; readonly payloads: readonly string[] }[];
  /** They may lack what the other cluster owed. */
  readonly mayLack: boolean;
}

/** A message that this node says has passed the kept session of a client by. */
export interface PassedSession {
  readonly client: string;
  readonly payloadId: string;
  /** Messages that the session is owed then; undefined: it is over. */
  readonly queued: number | undefined;
  /** It was published before: a SUBSCRIBE has brought it from the retained store. */
  readonly isRetained?: boolean;
}

export type NodeObservation =
  /** This node says it leads this term. */
  | { readonly kind: "leader"; readonly term: number }
  /** Applied an entry; `hash` is the rolling hash of all command bytes up to and with it. */
  | {
      readonly kind: "applied";
      readonly index: number;
      readonly term: number;
      readonly hash: number;
      readonly command?: AppliedCommand | undefined;
      readonly clusters?: AppliedClusterCommand | undefined;
      /** Messages for which kept sessions had no room; undefined: none. */
      readonly passed?: readonly PassedSession[] | undefined;
    }
  /** The node belongs to this cluster from now on. */
  | { readonly kind: "belongs"; readonly to: string }
  /** It runs from a copy of the disk of `of`, under the same identity. Its id here is its own, so that the two can be told apart. */
  | { readonly kind: "copied"; readonly of: string }
  /** No disk holds this node any more: its machine runs under another id. */
  | { readonly kind: "vanished" }
  /** Its state is a snapshot now, its own at a start or a leader's; what follows it is applied, be it once more. */
  | { readonly kind: "restored"; readonly index: number; readonly term: number }
  /** Node ids. */
  | {
      readonly kind: "configuration";
      readonly voters: readonly string[];
      readonly learners: readonly string[];
    }
  /** It has left the mesh, or was forgotten by it: this id is a member no longer. */
  | { readonly kind: "removed" }
  /** The node believes that it holds the lease until then, in the world's ms; 0: it holds none. */
  | { readonly kind: "lease"; readonly until: number }
  | { readonly kind: "addressAdded" }
  | { readonly kind: "addressRemoved" }
  | { readonly kind: "started"; readonly incarnation: number }
  | { readonly kind: "stopped"; readonly how: "crash" | "power" | "clean" | "pause" | "resume" }
  /**
   * What its disk was given last may be lost: the machine has lost its power, whether the node was running or not; or anything at all:
   * `disk`, by a rotten bit, a sync that fails, a disk that is wiped or replaced.
   */
  | { readonly kind: "damaged"; readonly how: "power" | "disk" }
  /** It starts, and says that its snapshot is not as it was written. */
  | { readonly kind: "snapshotDamaged" }
  /** The node became a candidate (or pre-candidate whose term went up). */
  | { readonly kind: "election" }
  /** It says that it reaches a quorum, or that it does not: what it acknowledges now is safe with it alone (DEGRADED). */
  | { readonly kind: "quorum"; readonly isReached: boolean }
  /** It let somebody read what it knows, because no quorum has confirmed in time that this is current. */
  | { readonly kind: "readUncertain" }
  /** Bytes a named queue of this node holds now. */
  | { readonly kind: "memory"; readonly queueName: string; readonly bytes: number };

export type ClientObservation =
  /** Once for each time it is sent: again, with DUP, where the session lived on. */
  | { readonly kind: "publishSent"; readonly client: string; readonly packet: PublishedPacket }
  | {
      readonly kind: "publishAcked";
      readonly client: string;
      readonly payloadId: string;
      readonly reasonCode: number;
      /** It says that the message is safe on one node only: a success with a Reason String. */
      readonly isSafeHereOnly?: true;
      /** Nobody could have said so: the client speaks 3.x. */
      readonly isUntold?: true;
    }
  /** `filter` as in SUBSCRIBE, `$share/...` included; `qos`: the highest one asked for. */
  | { readonly kind: "subscribeSent"; readonly client: string; readonly filter: string; readonly qos?: QoS }
  /** `qos`: as granted. */
  | { readonly kind: "subscribeAcked"; readonly client: string; readonly filter: string; readonly qos?: QoS }
  | { readonly kind: "unsubscribeSent"; readonly client: string; readonly filter: string }
  | {
      readonly kind: "delivered";
      readonly client: string;
      readonly topic: string;
      readonly payloadId: string;
      readonly qos: QoS;
      readonly dup: boolean;
      readonly retain: boolean;
    }
  /** A CONNECT; from here on the session may be another one, whether CONNACK comes or not. `connection`: counts those of the client. */
  | {
      readonly kind: "connectSent";
      readonly client: string;
      readonly connection: number;
      readonly isClean: boolean;
      /** How long the session lives without a connection; infinite for 3.1.1 without Clean Session. 0: it ends with it. */
      readonly expirySeconds: number;
      readonly keepAliveSeconds: number;
      readonly will: PublishedWill | undefined;
    }
  /** `session`: identifies the session state the client goes on with; a new one where the server had none. */
  | {
      readonly kind: "connected";
      readonly client: string;
      readonly session: string;
      readonly connection: number;
      /** Session Present. */
      readonly isPresent: boolean;
    }
  /**
   * The client has no connection any more. `left`: it sent DISCONNECT; `lost`: it was cut, or gave up; `abandoned`: it has forgotten
   * it, and the node may take it for alive.
   */
  | {
      readonly kind: "disconnected";
      readonly client: string;
      readonly session: string;
      readonly connection: number;
      readonly how: "left" | "lost" | "abandoned";
    }
  /** The node has ended a connection that the client had left or abandoned. `code`: of the DISCONNECT that it sent, if any. */
  | {
      readonly kind: "connectionOver";
      readonly client: string;
      readonly connection: number;
      readonly code: number | undefined;
    }
  /** CONNACK with a code other than success. */
  | { readonly kind: "refused"; readonly client: string; readonly code: number }
  /**
   * The replay after a SUBSCRIBE gave this; null: it gave nothing for the topic. `askedAt`: when that was sent, in the
   * world's ms.
   */
  | {
      readonly kind: "retainedRead";
      readonly client: string;
      readonly topic: string;
      readonly payloadId: string | null;
      readonly askedAt: number;
    };

export type WorldObservation =
  /**
   * From now on these nodes may be late or out of reach without having stopped: partition, clog, loss, disk stall, clock
   * fault. Each is matched by one `calmed` with the same nodes. Delays below a second disturb nobody.
   */
  | { readonly kind: "disturbed"; readonly nodes: readonly string[] }
  | { readonly kind: "calmed"; readonly nodes: readonly string[] }
  /** Every machine has lost its power, also those on which no node ran at that moment. */
  | { readonly kind: "blackout" }
  /** Faults are over: a majority runs, connected to each other. */
  | { readonly kind: "healed" }
  /** Nothing more comes. */
  | { readonly kind: "end" };

/**
 * `at`: the world's ms since its start; `node`: the id of the node it is about or, of clients, that they talk to; `cluster`: of
 * what happens in a log or about it, whose.
 */
export type Observation = { readonly at: number; readonly node?: string; readonly cluster?: string } & (
  | NodeObservation
  | ClientObservation
  | WorldObservation
);

/** A promise has been broken. */
export class CheckFailure extends Error {
  readonly checker: string;

  constructor(checker: string, message: string) {
    super(`${checker}: ${message}`);
    this.name = "CheckFailure";
    this.checker = checker;
  }
}

/** Judges one promise. It sees every observation, in order. */
export interface Checker {
  readonly name: string;
  /** @throws {CheckFailure} */
  observe(observation: Observation): void;
  /** After the last observation. @throws {CheckFailure} */
  finish?(): void;
}

/** Where a simulated client connects to: the listener of the i-th node, or the address that moves. */
export type ClientTarget = `node:${number}` | "floating";

/** What the world offers a simulated MQTT client. */
export interface SimClientHost {
  /**
   * Opens a connection to a node's MQTT listener. The handlers' `closed` also tells of a connection that never came
   * about; `connected` is called once when it has, with the id of the node that was reached. Writes before that are kept.
   */
  connect(address: ClientTarget, handlers: StreamHandler & { connected(node: string): void }): Stream;
  readonly clock: Clock;
  readonly prng: Prng;
  /** The world adds the time. `node`: the one the client talks to. */
  observe(observation: ClientObservation, node: string): void;
}
