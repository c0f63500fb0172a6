/**
 * An invitation: one newcomer may join within half an hour.
 *
 * What the newcomer types is a code; what nodes keep is a secret stretched from it (the program's matter), so that no node
 * can tell the code to anybody. The last byte of what stretching gives is the tag: it names the invitation in the clear. An
 * attacker who sees it knows 8 of 55 bits only after stretching, which he would have to do anyway for each guess.
 *
 * A closed invitation is remembered for a while: who proves its secret is told why it is of no use any more, and nobody
 * else is.
 */

import type { MonotonicMs, NodeId } from "@skein/kernel";

/** A code is stretched to this and one byte more, the tag. */
export const SECRET_BYTES = 32;

export const INVITATION_LIFETIME_MS = 30 * 60_000;
/** Open ones of a mesh: a person adds a few nodes at a time. */
export const OPEN_MAX = 8;
/** Closed ones are remembered this long, at most so many. */
export const CLOSED_KEPT_MS = 60 * 60_000;
export const CLOSED_MAX = 24;
/**
 * After so many failed attempts at one node an invitation is void. A person who mistypes needs two or three; a guesser has 10
 * of 2^55 at each node.
 */
export const FAILURES_MAX = 10;

/** In wire order. */
export const INVITATION_STATES = ["open", "used", "expired", "revoked", "void"] as const;
export type InvitationState = (typeof INVITATION_STATES)[number];

export interface Invitation {
  readonly tag: number;
  readonly secret: Uint8Array;
  /** The node that made it, which decides who uses it as long as it can be asked. */
  readonly inviter: NodeId;
  readonly state: InvitationState;
  /** Name of the newcomer that used it; empty otherwise. */
  readonly usedBy: string;
  /** Open: when it expires. Closed: when it is forgotten. */
  readonly until: MonotonicMs;
  /** Attempts at this node that proved another secret, or nothing yet. */
  readonly failures: number;
}

/** An invitation for the eyes of the operator. */
export interface InvitationRow {
  readonly tag: number;
  readonly inviter: NodeId;
  readonly state: InvitationState;
  readonly usedBy: string;
  /** Open: until it expires. */
  readonly remainingMs: number;
}

/** Secrets are compared without stopping at the first difference. */
export function areSameSecret(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let at = 0; at < a.length; at++) difference |= (a[at] as number) ^ (b[at] ?? 0);
  return difference === 0;
}
