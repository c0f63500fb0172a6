/**
 * Finds out whether a stranger (a printer, a DHCP client) has the floating address: before this node takes it for the first
 * time, and again and again while it holds it.
 *
 * A node that has never held it asks first and takes nothing as long as a stranger answers. Members of the mesh are no
 * strangers: they are known by their Ethernet addresses, and a past holder's kernel answers for up to 2.5 s, so an answer counts
 * as a conflict only when it comes again after longer than that. A stranger that shows up later is reported, and the address
 * is defended by announcing it: giving it up would help nobody.
 *
 * Each question is a process that is started, so an elected holder that nobody has answered asks less often. One that nobody has elected
 * does not: what answers may be a node with a quorum.
 *
 * Source: RFC 5227 (IPv4 address conflict detection) sections 2.1, 2.4 (b); reference design, section 2.3.
 */

import { type Core, type MonotonicMs, unreachable } from "@skein/kernel";

export type ConflictEvent =
  | { readonly kind: "start" }
  /** Whether this node holds the address now, whether it would take it, and whether a quorum wants that. */
  | {
      readonly kind: "state";
      readonly isHeld: boolean;
      readonly isWanted: boolean;
      readonly isElected: boolean;
    }
  /** A probe has ended. `stranger`: Ethernet address of somebody else than a member. */
  | { readonly kind: "probed"; readonly stranger: string | undefined }
  /** The interface could not send the question. */
  | { readonly kind: "unsent" }
  /** Who answered is a member after all. */
  | { readonly kind: "recognized" }
  | { readonly kind: "wake" };

export type ConflictEffect = { readonly kind: "probe" } | { readonly kind: "defend" };

/** Longer than any member's kernel keeps the address without its node. */
const SURE_AFTER_MS = 3000;
const AGAIN_WHILE_WANTED_MS = 1000;
/**
 * So many questions that cannot be sent count as one that nobody has answered. An interface that has just come up
 * cannot send IPv6 for two seconds, until it knows that nobody has its own address.
 */
const UNSENT_PROBES = 4;
const AGAIN_MS = 10_000;
/** As often as the address is announced. */
const AGAIN_ELECTED_MS = 30_000;
/** A stranger that has not answered so often is gone. */
const SILENT_PROBES = 2;

export class ConflictWatch implements Core<ConflictEvent, ConflictEffect> {
  #isHeld = false;
  #isWanted = false;
  #isElected = false;
  #isCleared = false;
  #stranger: string | undefined;
  /** First of its answers in a row. */
  #strangerSince = 0;
  #isAlarm = false;
  #silent = 0;
  #unsent = 0;
  #probeAt = Number.POSITIVE_INFINITY;
  #isProbing = false;

  /** Nobody but members has answered: the address may be taken. */
  get isCleared(): boolean {
    return this.#isCleared;
  }

  /** Ethernet address that answered last, of no member; undefined: none did, or it is known to be one. */
  get answered(): string | undefined {
    return this.#stranger;
  }

  /** Ethernet address of the stranger that has the address too. */
  get stranger(): string | undefined {
    return this.#isAlarm ? this.#stranger : undefined;
  }

  get wakeAt(): MonotonicMs | undefined {
    if (this.#isProbing || this.#probeAt === Number.POSITIVE_INFINITY) return undefined;
    return this.#probeAt as MonotonicMs;
  }

  step(event: ConflictEvent, now: MonotonicMs): readonly ConflictEffect[] {
    switch (event.kind) {
      case "start":
        this.#probeAt = now;
        break;
      case "state":
        if (event.isHeld !== this.#isHeld) this.#plan(event.isHeld, now);
        if (this.#isElected && !event.isElected && event.isHeld)
          this.#probeAt = Math.min(this.#probeAt, now + AGAIN_MS);
        this.#isHeld = event.isHeld;
        this.#isWanted = event.isWanted;
        this.#isElected = event.isElected;
        if (!this.#isCleared && event.isWanted)
          this.#probeAt = Math.min(this.#probeAt, now + AGAIN_WHILE_WANTED_MS);
        break;
      case "probed":
        return this.#probed(event.stranger, now);
      case "unsent":
        this.#isProbing = false;
        if (this.#isCleared || ++this.#unsent >= UNSENT_PROBES) this.#unanswered(now);
        else this.#probeAt = now + AGAIN_WHILE_WANTED_MS;
        return [];
      case "recognized":
        this.#silent = SILENT_PROBES;
        this.#unanswered(now);
        return [];
      case "wake":
        break;
      default:
        return unreachable(event);
    }
    if (this.#isProbing || now < this.#probeAt) return [];
    this.#isProbing = true;
    return [{ kind: "probe" }];
  }

  #plan(isHeld: boolean, now: number): void {
    if (isHeld) this.#probeAt = now + AGAIN_MS;
    else if (this.#isCleared) this.#probeAt = Number.POSITIVE_INFINITY;
  }

  #probed(stranger: string | undefined, now: number): readonly ConflictEffect[] {
    this.#isProbing = false;
    if (stranger === undefined) this.#unanswered(now);
    else {
      if (this.#stranger === undefined) this.#strangerSince = now;
      this.#stranger = stranger;
      this.#silent = 0;
      this.#isAlarm ||= this.#isHeld || now - this.#strangerSince >= SURE_AFTER_MS;
      // Also while the operator has been told: who was the stranger may be gone the next moment, and nobody else answers.
      const isUrgent = this.#isWanted && !this.#isCleared;
      this.#probeAt =
        now + (isUrgent ? AGAIN_WHILE_WANTED_MS : this.#isAlarm || this.#isHeld ? AGAIN_MS : SURE_AFTER_MS);
    }
    return stranger !== undefined && this.#isHeld ? [{ kind: "defend" }] : [];
  }

  #unanswered(now: number): void {
    this.#isCleared = true;
    if (++this.#silent >= SILENT_PROBES || !this.#isHeld) {
      this.#stranger = undefined;
      this.#isAlarm = false;
    }
    const isCalm = this.#isElected && this.#stranger === undefined;
    if (!this.#isHeld) this.#probeAt = Number.POSITIVE_INFINITY;
    else this.#probeAt = now + (isCalm ? AGAIN_ELECTED_MS : AGAIN_MS);
  }
}
