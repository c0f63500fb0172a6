/**
 * Which node serves a shared subscription: each message goes to exactly one that has a member.
 *
 * A node that has lost its last member sends the message back and another is asked; what was on the way to a node that is taken for dead is
 * given to another one. That is the one case in which two members may see a message, because the first node may have had it: if it comes back
 * it says how far it had come, and what has arrived there is served, also when the second node is taken for dead. Without that a third
 * dealing could reach the first member again, in the same connection and without DUP.
 *
 * Members whose sessions are kept get QoS >= 1 from the log: which subscriptions are left to it, the caller says.
 *
 * Source: MQTT 5 section 4.8.2.
 */

import {
  type ApplicationMessage,
  ByteReader,
  type Completion,
  decodeMessage,
  type QoS,
  type SharedChoice,
} from "@skein/kernel";
import type { KeptFrame, Sending, Shares } from "../link/stream-numbering.ts";
import type { Delivery } from "../options.ts";
import type { Peer } from "../peer.ts";
import { JoinedCompletion } from "./joined-completion.ts";
import type { Routes, ShareGroup, ShareHolder } from "./routes.ts";

/** Nodes asked in turn to serve one shared subscription before the message counts as having no subscriber. */
const SHARED_TRIES_MAX = 8;
const NOBODY_BEFORE: readonly Sending[] = [];
const NONE_RETURNED: readonly string[] = [];

/** The streams to the peers. */
export interface SharedDealingOwner {
  encode(message: ApplicationMessage): Uint8Array;
  /**
   * Puts an encoded message on the stream to `peer`: for `shares` and, with `isOrdinary`, for its ordinary subscribers. Returns the number of
   * parts `done` will be settled for: 0 or 1.
   */
  send(
    peer: Peer,
    isOrdinary: boolean,
    shares: Shares | undefined,
    message: Uint8Array,
    qos: QoS,
    done: Completion | undefined,
  ): number;
}

export class SharedDealing {
  readonly #routes: Routes;
  readonly #delivery: Delivery;
  readonly #owner: SharedDealingOwner;

  constructor(routes: Routes, delivery: Delivery, owner: SharedDealingOwner) {
    this.#routes = routes;
    this.#delivery = delivery;
    this.#owner = owner;
  }

  /** To each of `peers`, and for each of `groups` to the node whose turn it is. Returns the parts `done` will be settled for. */
  forward(
    message: ApplicationMessage,
    done: Completion | undefined,
    peers: readonly Peer[],
    groups: readonly ShareGroup[],
    choice: SharedChoice | undefined,
  ): number {
    const assigned = new Map<Peer, string[]>();
    for (const group of groups) {
      if (choice?.isDealt(group.sharedFilter) === true) continue;
      const holder = this.#choose(group, message, undefined);
      if (holder === undefined) continue;
      choice?.serve(group.sharedFilter);
      if (holder === "local") continue;
      const filters = assigned.get(holder);
      if (filters === undefined) assigned.set(holder, [group.sharedFilter]);
      else filters.push(group.sharedFilter);
    }
    if (peers.length === 0 && assigned.size === 0) return 0;
    const bytes = this.#owner.encode(message);
    let parts = 0;
    for (const peer of peers) {
      const filters = assigned.get(peer);
      assigned.delete(peer);
      const shares = filters === undefined ? undefined : sharesOf(filters, 0, NOBODY_BEFORE);
      parts += this.#owner.send(peer, true, shares, bytes, message.qos, done);
    }
    for (const [peer, filters] of assigned)
      parts += this.#owner.send(peer, false, sharesOf(filters, 0, NOBODY_BEFORE), bytes, message.qos, done);
    return parts;
  }

  /** `peer` has no member of `sharedFilter` any more. `kept`: the frame that it has sent back, if that is still waited for. */
  returned(
    peer: Peer,
    sharedFilter: string,
    tries: number,
    message: ApplicationMessage,
    kept: KeptFrame | undefined,
  ): void {
    if (kept?.shares !== undefined) kept.shares.returned = [...kept.shares.returned, sharedFilter];
    // Behind a cut the acknowledgement may have overtaken the return: it is served all the same, nobody waits.
    const joined = kept?.completion === undefined ? undefined : new JoinedCompletion(kept.completion);
    if (joined !== undefined && kept !== undefined) kept.completion = joined;
    const past = { tries: tries + 1, before: kept?.shares?.before ?? NOBODY_BEFORE };
    const parts = this.#serveElsewhere(peer, sharedFilter, past, message, joined);
    joined?.expect(parts);
  }

  /** `peer` was taken for dead before it has acknowledged `frame`. */
  givenUp(peer: Peer, frame: KeptFrame, shares: Shares): void {
    const message = decodeMessage(new ByteReader(frame.message));
    const before = [...shares.before, { stream: peer.outbound, sequence: frame.sequence }];
    const past = { tries: shares.tries + 1, before };
    const joined = frame.completion === undefined ? undefined : new JoinedCompletion(frame.completion);
    for (const sharedFilter of shares.filters) {
      if (shares.returned.includes(sharedFilter)) continue;
      const parts = this.#serveElsewhere(peer, sharedFilter, past, message, joined);
      joined?.expect(parts);
    }
    joined?.release();
  }

  /** The holder whose turn it is: a peer, or this node, where a member has been served; undefined: there is nobody. */
  #choose(group: ShareGroup, message: ApplicationMessage, except: Peer | undefined): ShareHolder | undefined {
    const tried: ShareHolder[] = except === undefined ? [] : [except];
    for (;;) {
      const holder = group.pick(message.qos, (candidate) => tried.includes(candidate));
      if (holder !== "local") return holder;
      if (this.#delivery.deliverShared(group.sharedFilter, message)) return holder;
      tried.push(holder);
    }
  }

  /** A node has it already, or the next one is asked. Returns the parts `done` will be settled for: 1 if a peer must accept it. */
  #serveElsewhere(
    except: Peer,
    sharedFilter: string,
    { tries, before }: Pick<Shares, "tries" | "before">,
    message: ApplicationMessage,
    done: Completion | undefined,
  ): number {
    if (before.some(({ stream, sequence }) => stream.hasArrived(sequence))) return 0;
    const group = tries < SHARED_TRIES_MAX ? this.#routes.groupOf(sharedFilter) : undefined;
    const holder = group === undefined ? undefined : this.#choose(group, message, except);
    if (holder === "local") return 0;
    if (holder === undefined)
      return message.qos === 0 ? 0 : (this.#delivery.unserved?.(sharedFilter, message, done) ?? 0);
    const shares = sharesOf([sharedFilter], tries, before);
    return this.#owner.send(holder, false, shares, this.#owner.encode(message), message.qos, done);
  }
}

function sharesOf(filters: readonly string[], tries: number, before: readonly Sending[]): Shares {
  return { filters, tries, before, returned: NONE_RETURNED };
}
