/**
 * How long this node holds the mesh's one address, and in which order it is taken and given up.
 *
 * The address is held only under a warrant that was confirmed just now: a leader's by a quorum, counted from the SEND time of
 * the heartbeat that was answered, or a stand-in's by itself (stand-in.ts). Each renewal gives the kernel a lifetime of 2 s, so
 * a node that is stopped, stuck or cut off loses the address before another can be elected. On release clients are reset
 * first, then the address goes:
 * a socket that outlives its address would come back to life with it (reference design, traps 1, 2 and 4). After taking
 * it, gratuitous ARP is repeated, because one lost broadcast would be an outage of 50 s (trap 12); and again while another node is heard that
 * holds it as well, whose clients would go on sending to that one. What was confirmed before the
 * machine slept is worth nothing afterwards: its clocks stood still, those of the others did not.
 *
 * Uniqueness is a convenience: two holders for 2.5 s are harmless, because only one of them can commit.
 *
 * Source: reference design, section 2.3, with its measurements.
 */

import { type Core, type MonotonicMs, unreachable } from "@skein/kernel";

export type AddressEvent =
  | {
      readonly kind: "warrant";
      /** False: give it up now. */
      readonly isGiven: boolean;
      /** When it was confirmed last (a leader: send time of the newest heartbeat that a quorum answered), on the clock of `now`. */
      readonly confirmedAt: number | undefined;
    }
  /** The machine slept until now. */
  | { readonly kind: "suspended" }
  | { readonly kind: "wake" }
  /** The program that sets addresses has been started again: it must be told the address anew. */
  | { readonly kind: "restarted" }
  /** It could not be set for a while, and now it is: nobody has heard what was announced meanwhile. */
  | { readonly kind: "mended" }
  /** A node has come into reach. It may have held the address, too, for clients behind a split, and they do not know this one. */
  | {
      readonly kind: "reunited";
      /** By a quorum. A stand-in may be the one that lets go, and then it must not draw clients to itself. */
      readonly isElected: boolean;
    };

/** Carried out in order. */
export type AddressEffect =
  /** Add the address, or prolong it. */
  | { readonly kind: "renew" }
  | { readonly kind: "resetClients" }
  | { readonly kind: "delete" }
  /** Gratuitous ARP, in both forms. */
  | { readonly kind: "announce" };

/** Age of a confirmation above which it no longer renews: 0.3 s + lifetime 2.5 s stay below the shortest election. */
const FRESH_MS = 300;
const RENEW_EVERY_MS = 400;
/** The kernel has dropped the address by itself after this long: sockets on it belong to the past. */
const LIFETIME_MS = 2000;
/** Without a confirmation for this long the address is given up in order, while the process still can. */
export const GIVE_UP_MS = 1500;
/** Gratuitous ARP after taking the address, then every {@link ANNOUNCE_EVERY_MS}. */
const ANNOUNCE_AT_MS = [0, 200, 400, 1000, 2000, 5000];
const ANNOUNCE_EVERY_MS = 30_000;
/**
 * Links come up one by one, so it is announced anew at most so often; and a stand-in waits so long, until it has seen whether a better one is
 * in reach. A client ignores what comes within a second of another holder's announcement: the later ones of {@link ANNOUNCE_AT_MS} are for that.
 */
const ANEW_EVERY_MS = 1000;

/** A pure core; times are the `now` of its events, in milliseconds. */
export class AddressHolding implements Core<AddressEvent, AddressEffect> {
  #isHeld = false;
  #confirmedAt = Number.NEGATIVE_INFINITY;
  #renewedAt = 0;
  /** When it was taken, or announced as if it had been. */
  #announcedSince = 0;
  /** Then it is announced anew; undefined: not again. */
  #anewAt: number | undefined;
  /** It was never told, or told to a program that is gone. */
  #mustRenew = true;
  #sleptUntil = Number.NEGATIVE_INFINITY;
  #announcements = 0;

  get isHeld(): boolean {
    return this.#isHeld;
  }

  get wakeAt(): MonotonicMs | undefined {
    if (!this.#isHeld) return undefined;
    const endAt = Math.min(this.#confirmedAt + GIVE_UP_MS, this.#renewedAt + LIFETIME_MS);
    return Math.min(endAt, this.#nextAnnouncementAt()) as MonotonicMs;
  }

  step(event: AddressEvent, now: MonotonicMs): readonly AddressEffect[] {
    switch (event.kind) {
      case "warrant": {
        if (!event.isGiven) return this.#release();
        const { confirmedAt } = event;
        if (confirmedAt !== undefined && confirmedAt > this.#sleptUntil)
          this.#confirmedAt = Math.max(this.#confirmedAt, Math.min(confirmedAt, now));
        return this.#hold(now);
      }
      case "suspended":
        this.#sleptUntil = now;
        return this.#release();
      case "wake":
        return this.#hold(now);
      case "restarted":
        this.#mustRenew = true;
        return this.#isHeld ? this.#hold(now) : [];
      case "mended":
        this.#anewAt = now;
        return this.#isHeld ? this.#hold(now) : [];
      case "reunited": {
        const earliest = event.isElected ? now : now + ANEW_EVERY_MS;
        this.#anewAt ??= Math.max(earliest, this.#announcedSince + ANEW_EVERY_MS);
        return this.#isHeld ? this.#hold(now) : [];
      }
      default:
        return unreachable(event);
    }
  }

  #hold(now: number): readonly AddressEffect[] {
    const age = now - this.#confirmedAt;
    if (this.#isHeld && (age >= GIVE_UP_MS || now - this.#renewedAt >= LIFETIME_MS)) return this.#release();
    const effects: AddressEffect[] = [];
    if (age <= FRESH_MS && (this.#mustRenew || now - this.#renewedAt >= RENEW_EVERY_MS)) {
      this.#renewedAt = now;
      this.#mustRenew = false;
      effects.push({ kind: "renew" });
      if (!this.#isHeld) {
        this.#isHeld = true;
        this.#announceFrom(now);
      }
    }
    if (this.#anewAt !== undefined && now >= this.#anewAt) this.#announceFrom(now);
    if (this.#isHeld && now >= this.#nextAnnouncementAt()) {
      // A process that was late makes up with one announcement, not with all it missed.
      while (now >= this.#scheduledAt()) this.#announcements++;
      effects.push({ kind: "announce" });
    }
    return effects;
  }

  /** It is announced as if it had been taken at `now`. */
  #announceFrom(now: number): void {
    this.#announcedSince = now;
    this.#announcements = 0;
    this.#anewAt = undefined;
  }

  #release(): readonly AddressEffect[] {
    this.#confirmedAt = Number.NEGATIVE_INFINITY;
    this.#mustRenew = true;
    if (!this.#isHeld) return [];
    this.#isHeld = false;
    return [{ kind: "resetClients" }, { kind: "delete" }];
  }

  #nextAnnouncementAt(): number {
    return Math.min(this.#anewAt ?? Number.POSITIVE_INFINITY, this.#scheduledAt());
  }

  #scheduledAt(): number {
    const offset = ANNOUNCE_AT_MS[this.#announcements];
    if (offset !== undefined) return this.#announcedSince + offset;
    const repeats = this.#announcements - ANNOUNCE_AT_MS.length + 1;
    return this.#announcedSince + (ANNOUNCE_AT_MS.at(-1) ?? 0) + repeats * ANNOUNCE_EVERY_MS;
  }
}
