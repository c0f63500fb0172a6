/**
 * How often one address may try to join: a few times a minute, so that guessing is slow and one guesser does not use up the
 * attempts that an invitation has.
 *
 * IPv6 addresses count by their /64, since a host has as many in it as it likes. The table is bounded: when it is full of
 * addresses that have tried within the minute, nobody new may try.
 */

import type { Clock } from "@skein/kernel";
import { splitAddress } from "../link/address.ts";

const ATTEMPTS_MAX = 5;
const WINDOW_MS = 60_000;
const ADDRESSES_MAX = 256;

interface Window {
  readonly endsMs: number;
  readonly attempts: number;
}

export class Attempts {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Seconds until `remoteAddress` (`host:port`) may try again; 0: now. */
  waitSeconds(remoteAddress: string): number {
    const now = this.#clock.monotonicMs();
    const window = this.#windows.get(groupOf(remoteAddress));
    if (window === undefined || now >= window.endsMs) return this.#hasRoom(now) ? 0 : WINDOW_MS / 1000;
    return window.attempts < ATTEMPTS_MAX ? 0 : Math.ceil((window.endsMs - now) / 1000);
  }

  count(remoteAddress: string): void {
    const now = this.#clock.monotonicMs();
    const group = groupOf(remoteAddress);
    const window = this.#windows.get(group);
    if (window === undefined || now >= window.endsMs)
      this.#windows.set(group, { endsMs: now + WINDOW_MS, attempts: 1 });
    else this.#windows.set(group, { ...window, attempts: window.attempts + 1 });
  }

  /** The attempt was a good one. */
  takeBack(remoteAddress: string): void {
    const group = groupOf(remoteAddress);
    const window = this.#windows.get(group);
    if (window !== undefined)
      this.#windows.set(group, { ...window, attempts: Math.max(0, window.attempts - 1) });
  }

  #hasRoom(now: number): boolean {
    if (this.#windows.size < ADDRESSES_MAX) return true;
    for (const [group, { endsMs }] of this.#windows) if (now >= endsMs) this.#windows.delete(group);
    return this.#windows.size < ADDRESSES_MAX;
  }
}

function groupOf(remoteAddress: string): string {
  const host = splitAddress(remoteAddress)?.host ?? remoteAddress;
  if (!host.includes(":")) return host;
  const [head = "", tail = ""] = host.split("::", 2);
  const [left, right] = [head, tail].map((part) => (part === "" ? [] : part.split(":"))) as [
    string[],
    string[],
  ];
  const zeros = host.includes("::") ? 8 - left.length - right.length : 0;
  return [...left, ...Array.from({ length: zeros }, () => "0"), ...right].slice(0, 4).join(":");
}
