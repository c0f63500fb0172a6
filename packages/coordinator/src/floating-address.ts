/**
 * When this node may hold the mesh's one address, and in which order it is taken and given up.
 *
 * The address is held only while this node leads and a quorum has just answered it: each renewal gives the kernel a
 * lifetime of 2 s, and counts from the SEND time of the heartbeat that was answered, so a node that is stopped, stuck or
 * cut off loses the address before another can be elected. On release clients are reset first, then the address goes:
 * a socket that outlives its address would come back to life with it (reference design, traps 1, 2 and 4). After taking
 * it, gratuitous ARP is repeated, because one lost broadcast would be an outage of 50 s (trap 12).
 *
 * Uniqueness is a convenience: two holders for 2.5 s are harmless, because only one of them can commit.
 *
 * Source: reference design, section 2.3, with its measurements.
 */

import { type Core, type MonotonicMs, unreachable } from "@skein/kernel";

export type AddressEvent =
  | {
      readonly kind: "lease";
      readonly isLeader: boolean;
      /** Send time of the newest heartbeat that a quorum answered, on the same clock as `now`. */
      readonly quorumContactAt: number | undefined;
    }
  | { readonly kind: "wake" }
  /** The program that sets addresses has been started again: it must be told the address anew. */
  | { readonly kind: "restarted" };

/** Carried out in order. */
export type AddressEffect =
  /** Add the address, or prolong it. */
  | { readonly kind: "renew" }
  | { readonly kind: "resetClients" }
  | { readonly kind: "delete" }
  /** Gratuitous ARP, in both forms. */
  | { readonly kind: "announce" };

/** Age of a quorum contact above which it no longer renews: 0.3 s + lifetime 2.5 s stay below the shortest election. */
const FRESH_MS = 300;
const RENEW_EVERY_MS = 400;
/** Without a quorum for this long the address is given up in order, while the process still can. */
const GIVE_UP_MS = 1500;
/** Gratuitous ARP after taking the address, then every {@link ANNOUNCE_EVERY_MS}. */
const ANNOUNCE_AT_MS = [0, 200, 400, 1000, 2000, 5000];
const ANNOUNCE_EVERY_MS = 30_000;

/** A pure core; times are the `now` of its events, in milliseconds. */
export class AddressHolding implements Core<AddressEvent, AddressEffect> {
  #isHeld = false;
  #contactAt = Number.NEGATIVE_INFINITY;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #takenAt = 0;
  #announcements = 0;

  get isHeld(): boolean {
    return this.#isHeld;
  }

  get wakeAt(): MonotonicMs | undefined {
    if (!this.#isHeld) return undefined;
    return Math.min(this.#contactAt + GIVE_UP_MS, this.#nextAnnouncementAt()) as MonotonicMs;
  }

  step(event: AddressEvent, now: MonotonicMs): readonly AddressEffect[] {
    switch (event.kind) {
      case "lease":
        if (!event.isLeader) return this.#release();
        if (event.quorumContactAt !== undefined) {
          this.#contactAt = Math.max(this.#contactAt, Math.min(event.quorumContactAt, now));
        }
        return this.#hold(now);
      case "wake":
        return this.#hold(now);
      case "restarted":
        this.#renewedAt = Number.NEGATIVE_INFINITY;
        return this.#isHeld ? this.#hold(now) : [];
      default:
        return unreachable(event);
    }
  }

  #hold(now: number): readonly AddressEffect[] {
    const age = now - this.#contactAt;
    if (this.#isHeld && age >= GIVE_UP_MS) return this.#release();
    const effects: AddressEffect[] = [];
    if (age <= FRESH_MS && now - this.#renewedAt >= RENEW_EVERY_MS) {
      this.#renewedAt = now;
      effects.push({ kind: "renew" });
      if (!this.#isHeld) {
        this.#isHeld = true;
        this.#takenAt = now;
        this.#announcements = 0;
      }
    }
    if (this.#isHeld && now >= this.#nextAnnouncementAt()) {
      // A process that was late makes up with one announcement, not with all it missed.
      while (now >= this.#nextAnnouncementAt()) this.#announcements++;
      effects.push({ kind: "announce" });
    }
    return effects;
  }

  #release(): readonly AddressEffect[] {
    this.#contactAt = Number.NEGATIVE_INFINITY;
    this.#renewedAt = Number.NEGATIVE_INFINITY;
    if (!this.#isHeld) return [];
    this.#isHeld = false;
    return [{ kind: "resetClients" }, { kind: "delete" }];
  }

  #nextAnnouncementAt(): number {
    const offset = ANNOUNCE_AT_MS[this.#announcements];
    if (offset !== undefined) return this.#takenAt + offset;
    const repeats = this.#announcements - ANNOUNCE_AT_MS.length + 1;
    return this.#takenAt + (ANNOUNCE_AT_MS.at(-1) ?? 0) + repeats * ANNOUNCE_EVERY_MS;
  }
}
