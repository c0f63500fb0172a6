/**
 * How often one address may connect: a device that connects in a loop must not take the time of all others.
 *
 * One number for each address that was here lately: the time at which its connections so far would be used up at the allowed
 * rate. An address whose number lies more than a burst ahead of now has to wait; one whose number has passed is forgotten. Programs
 * on this machine are not counted: whole test benches and gateways connect from there.
 *
 * Source: the generic cell rate algorithm (ITU-T I.371, annex A).
 */

import type { MonotonicMs } from "@skein/kernel";

/** Addresses that are remembered; beyond it the one longest unseen is forgotten, which only ever lets more in. */
const ADDRESSES_MAX = 10_000;

export class ConnectRate {
  readonly #intervalMs: number;
  readonly #burstMs: number;
  /** When the connections of an address are used up, ms; the address that came last is last. */
  readonly #usedUpAt = new Map<string, number>();

  /** @param perSecond 0: no limit */
  constructor(perSecond: number, burst: number) {
    this.#intervalMs = perSecond === 0 ? 0 : 1000 / perSecond;
    this.#burstMs = burst * this.#intervalMs;
  }

  /** Whether a connection from `remoteAddress` (`address:port`) may come in now; counts it if so. */
  admits(remoteAddress: string, now: MonotonicMs): boolean {
    if (this.#intervalMs === 0) return true;
    if (isThisMachine(remoteAddress)) return true;
    const address = remoteAddress.slice(0, remoteAddress.lastIndexOf(":"));
    const usedUpAt = Math.max(this.#usedUpAt.get(address) ?? 0, now) + this.#intervalMs;
    if (usedUpAt > now + this.#burstMs) return false;
    this.#usedUpAt.delete(address);
    this.#usedUpAt.set(address, usedUpAt);
    this.#forget(now);
    return true;
  }

  /** Two looks for each address that is added, so that what has passed does not stay. */
  #forget(now: MonotonicMs): void {
    let looks = 0;
    for (const [address, usedUpAt] of this.#usedUpAt) {
      if (usedUpAt <= now || this.#usedUpAt.size > ADDRESSES_MAX) this.#usedUpAt.delete(address);
      if (++looks === 2) return;
    }
  }
}

/** Loopback, or a Unix socket. */
function isThisMachine(remoteAddress: string): boolean {
  return (
    remoteAddress.startsWith("127.") || remoteAddress.startsWith("[::1]") || remoteAddress.startsWith("unix:")
  );
}
