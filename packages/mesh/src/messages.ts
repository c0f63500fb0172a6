/**
 * What nodes say to each other over a link, by frame type. The bytes are in codec.ts.
 *
 * A link opens with HELLO and RESUME from both sides. DATA and RETURN carry sequence numbers and survive a cut; all
 * other frames are either versioned (interest, members) or may get lost (heartbeat, control).
 */

import type { Incarnation, NodeId } from "@skein/kernel";
import type { ProtocolVersions } from "./link/protocol-version.ts";
import type { Home } from "./link/twins.ts";
import type { NodeFacts } from "./members.ts";

/** First body byte of a frame. Numbers are never reused. */
export const FrameType = {
  hello: 1,
  resume: 2,
  heartbeat: 3,
  members: 4,
  interestDelta: 5,
  interestRows: 6,
  interestPull: 7,
  interestAck: 8,
  data: 9,
  dataAck: 10,
  return: 11,
  control: 12,
  left: 13,
  relay: 14,
  /** About the clients' address; the mesh looks at nothing in it. */
  address: 16,
  /** Invitations and their use (joining/). */
  joining: 20,
  /** Asks for an echo of a number, or is that echo (link/twins.ts). */
  probe: 21,
  /** Another process has the right to the receiver's identity. */
  yield: 22,
  /** PUBLISH packets of clients, side by side behind one sequence number: those of MQTT 3.1 and 3.1.1, and those of 5.0. */
  publish: 23,
  publish5: 24,
  /** The receiver gets no link: a copy of its data has been started as often, or more often (link/twins.ts). Who does not know it ends the link. */
  outrun: 25,
} as const;

/** What a heartbeat may carry since version 2; most carry nothing. */
export const Echo = { request: 1, answer: 2 } as const;

/** Who is calling. */
export interface Hello {
  readonly versions: ProtocolVersions;
  readonly mesh: string;
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  /** Random number of this process: tells a dial to oneself from a second machine with the same identity. */
  readonly nonce: number;
  readonly name: string;
  /** Port of the caller's link listener; 0 if it has none. */
  readonly linkPort: number;
  /** Whether it runs where its identity was made. */
  readonly home: Home;
  /** How long its process has been running. */
  readonly uptimeMs: number;
}

/** What the sender already has of the receiver's streams, so that each goes on where the last link ended. */
export interface Resume {
  /** The incarnation of the receiver that the two numbers below belong to. */
  readonly incarnation: Incarnation;
  /** Last sequence number received; 0: none. */
  readonly lastSequence: number;
  /** Version of the receiver's interest rows that the sender holds; 0: none. */
  readonly interestVersion: number;
}

/** One member as the sender of a digest sees it. */
export interface MemberRow extends NodeFacts {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly hasLeft: boolean;
  /** Milliseconds since the sender heard it, by itself or through others; 0 in the sender's own row. */
  readonly heardAgoMs: number;
  /** `host:port` where the sender reaches it; empty in the sender's own row. */
  readonly address: string;
  readonly factsVersion: number;
  /** How long its process has been running; 0: unknown. */
  readonly uptimeMs: number;
  /** The newest version of the protocol it speaks. */
  readonly protocolVersion: number;
  /** Version of its interest rows that the sender holds; 0: none. */
  readonly interestVersion: number;
}

/** A digest: one row per member, or only the sender's own. */
export interface MembersFrame {
  /** The receiver should answer with its own digest. */
  readonly wantsReply: boolean;
  readonly rows: readonly MemberRow[];
}

/** A change of the sender's own interest rows, from one version to the next. Applied as a whole. */
export interface InterestDelta {
  readonly incarnation: Incarnation;
  readonly from: number;
  readonly to: number;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** A part of all interest rows of `node`. Parts of one transfer follow each other on one link. */
export interface InterestRows {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly version: number;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  readonly filters: readonly string[];
}

/** The receiver's interest rows have arrived up to `version`. */
export interface InterestAck {
  readonly incarnation: Incarnation;
  readonly version: number;
}

/** How a forwarded message is to be served by the node that gets it. */
export interface DataHead {
  /** It goes to ordinary subscribers. */
  readonly isOrdinary: boolean;
  /** Nodes that were asked before to serve the shared subscription and had no member any more. */
  readonly tries: number;
  /** `$share/...` filters of which this node must serve one member each. */
  readonly sharedFilters: readonly string[];
}

/** A message sent back by a node that has no member of the shared subscription any more. */
export interface ReturnHead {
  /** Sequence number of the DATA frame it came in. */
  readonly sequence: number;
  readonly tries: number;
  readonly sharedFilter: string;
}
