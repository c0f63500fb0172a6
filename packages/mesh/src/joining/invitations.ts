/**
 * The invitations a node knows: its own and those of the nodes it is linked to, each open until it is used, expired, revoked
 * or void.
 *
 * States only go forward, so nodes that tell each other what they know agree in the end: closed beats open. Time is
 * monotonic, and told to others as what remains of it.
 */

import type { Clock, MonotonicMs, NodeId } from "@skein/kernel";
import {
  areSameSecret,
  CLOSED_KEPT_MS,
  CLOSED_MAX,
  FAILURES_MAX,
  INVITATION_LIFETIME_MS,
  type Invitation,
  type InvitationRow,
  type InvitationState,
  OPEN_MAX,
  SECRET_BYTES,
} from "./invitation.ts";

/** One invitation as told to another node. */
export interface ToldInvitation {
  readonly tag: number;
  readonly secret: Uint8Array;
  readonly inviter: NodeId;
  readonly state: InvitationState;
  readonly usedBy: string;
  readonly remainingMs: number;
}

/** Why no invitation was made: another code will do, or one must be closed first. */
export type InvitationRefusal = "tagTaken" | "tooMany";

export class Invitations {
  readonly #clock: Clock;
  readonly #own: NodeId;
  /** Something that others should know has changed. */
  readonly #changed: () => void;
  readonly #byTag = new Map<number, Invitation>();

  constructor(own: NodeId, clock: Clock, changed: () => void) {
    this.#own = own;
    this.#clock = clock;
    this.#changed = changed;
  }

  /** What the best of them is good for; undefined: there is none, not even one that was closed not long ago. */
  get standing(): "open" | "closed" | undefined {
    if (this.#byTag.size === 0) return undefined;
    return this.#open().length > 0 ? "open" : "closed";
  }

  /** Opens an invitation for whoever proves `stretched` (secret and tag). */
  add(stretched: Uint8Array): InvitationRefusal | undefined {
    const tag = stretched[SECRET_BYTES] as number;
    if (this.#byTag.has(tag)) return "tagTaken";
    if (this.#open().length >= OPEN_MAX) return "tooMany";
    const secret = stretched.slice(0, SECRET_BYTES);
    const until = this.#in(INVITATION_LIFETIME_MS);
    this.#byTag.set(tag, {
      tag,
      secret,
      inviter: this.#own,
      state: "open",
      usedBy: "",
      until,
      failures: 0,
    });
    this.#changed();
    return undefined;
  }

  get(tag: number): Invitation | undefined {
    return this.#byTag.get(tag);
  }

  /** All known, open ones first, then in order of their tags. */
  rows(): readonly InvitationRow[] {
    const now = this.#clock.monotonicMs();
    return [...this.#byTag.values()]
      .sort((a, b) => Number(a.state !== "open") - Number(b.state !== "open") || a.tag - b.tag)
      .map(({ tag, inviter, state, usedBy, until }) => {
        return { tag, inviter, state, usedBy, remainingMs: state === "open" ? Math.max(0, until - now) : 0 };
      });
  }

  /** `newcomer` is about to be let in with it. False: it is not open any more. */
  use(tag: number, newcomer: string): boolean {
    return this.#close(tag, "used", newcomer);
  }

  revoke(tag: number): boolean {
    return this.#close(tag, "revoked", "");
  }

  /** An attempt begins: it counts against every open invitation until it has proved the secret of one. */
  attempted(): void {
    for (const invitation of this.#open()) {
      const failures = invitation.failures + 1;
      this.#byTag.set(invitation.tag, { ...invitation, failures });
      if (failures > FAILURES_MAX) this.#close(invitation.tag, "void", "");
    }
  }

  /** The attempt that {@link attempted} counted has proved a secret. */
  proved(): void {
    for (const invitation of this.#open())
      this.#byTag.set(invitation.tag, { ...invitation, failures: Math.max(0, invitation.failures - 1) });
  }

  /** Closes what has expired and forgets what has been closed for long. Call it now and then. */
  tick(): void {
    const now = this.#clock.monotonicMs();
    for (const { tag, state, until } of [...this.#byTag.values()]) {
      if (now < until) continue;
      if (state === "open") this.#close(tag, "expired", "");
      else {
        this.#byTag.delete(tag);
        this.#changed();
      }
    }
  }

  /** What others should know. */
  told(): readonly ToldInvitation[] {
    const now = this.#clock.monotonicMs();
    return [...this.#byTag.values()].map(({ tag, secret, inviter, state, usedBy, until }) => {
      return { tag, secret, inviter, state, usedBy, remainingMs: Math.max(0, Math.round(until - now)) };
    });
  }

  /** What another node knows. Of two secrets with one tag the first stays: the other invitation's code is of no use here. */
  learn(told: readonly ToldInvitation[]): void {
    let isNews = false;
    for (const theirs of told) {
      const mine = this.#byTag.get(theirs.tag);
      if (mine === undefined) isNews = this.#adopt(theirs) || isNews;
      else if (mine.state === "open" && theirs.state !== "open" && areSameSecret(mine.secret, theirs.secret))
        isNews = this.#close(theirs.tag, theirs.state, theirs.usedBy) || isNews;
    }
    if (isNews) this.#changed();
  }

  #adopt({ tag, secret, inviter, state, usedBy, remainingMs }: ToldInvitation): boolean {
    const isOpen = state === "open";
    if (remainingMs === 0 || (isOpen ? this.#open().length >= OPEN_MAX : this.#closedCount() >= CLOSED_MAX))
      return false;
    const until = this.#in(Math.min(remainingMs, isOpen ? INVITATION_LIFETIME_MS : CLOSED_KEPT_MS));
    this.#byTag.set(tag, { tag, secret: secret.slice(), inviter, state, usedBy, until, failures: 0 });
    return true;
  }

  #close(tag: number, state: InvitationState, usedBy: string): boolean {
    const invitation = this.#byTag.get(tag);
    if (invitation?.state !== "open") return false;
    this.#byTag.set(tag, { ...invitation, state, usedBy, until: this.#in(CLOSED_KEPT_MS) });
    this.#makeRoom();
    this.#changed();
    return true;
  }

  /** The closed ones that would be forgotten first give way. */
  #makeRoom(): void {
    const closed = [...this.#byTag.values()].filter(({ state }) => state !== "open");
    closed.sort((a, b) => a.until - b.until);
    for (const { tag } of closed.slice(0, Math.max(0, closed.length - CLOSED_MAX))) this.#byTag.delete(tag);
  }

  #open(): readonly Invitation[] {
    return [...this.#byTag.values()].filter(({ state }) => state === "open");
  }

  #closedCount(): number {
    return this.#byTag.size - this.#open().length;
  }

  #in(delayMs: number): MonotonicMs {
    return (this.#clock.monotonicMs() + delayMs) as MonotonicMs;
  }
}
