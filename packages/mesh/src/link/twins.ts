/**
 * Two machines with one identity (a copied SD card): which of them goes on under it.
 *
 * A node id has one link per peer. When a second process greets under an id that is linked already, it is the same node started
 * again, or a copy. The present link decides: it is asked for an echo that only a running process can give, of a number made
 * after the second one had greeted. No echo: the first is gone, and the second takes its place. An echo: the first runs. So does the
 * second if it has answered on a stream that began after the first had greeted; a HELLO alone may be late and its process gone (what went
 * through a relay waits there). If both run, one must yield: first the one that does not run on the machine where the identity was made, else the one that
 * was started later. All that hear both come to the same result, so that exactly one yields.
 *
 * Of two that never run at the same time the nodes that have had a link with both know: every start counts one up before it is used
 * (incarnation), so a number that is lower than one known, or the same from another process, comes from the disk that was left behind. It gets no link, and is told what is
 * known ({@link Outrun}): it starts again behind that number.
 *
 * Source: reference/design.md 1.3 (hardware fingerprint) and trap 5.
 */

import type { ByteReader, ByteWriter, Incarnation } from "@skein/kernel";
import type { Hello } from "../messages.ts";

/** Whether a process runs on the machine where its identity was made, in order of its right to it. */
export const HOMES = ["elsewhere", "unknown", "here"] as const;
export type Home = (typeof HOMES)[number];

/** Clocks and ways differ: starts that are closer than this count as one, and the lower number decides. */
const SAME_START_MS = 1000;

/** One of two processes with one identity. `startedMs`: by the clock of the node that compares. */
export interface Claim {
  readonly hello: Hello;
  readonly startedMs: number;
}

/** Whether `a` goes on and `b` must yield. */
export function isRightful(a: Claim, b: Claim): boolean {
  const byHome = HOMES.indexOf(a.hello.home) - HOMES.indexOf(b.hello.home);
  if (byHome !== 0) return byHome > 0;
  const earlierMs = b.startedMs - a.startedMs;
  return Math.abs(earlierMs) > SAME_START_MS ? earlierMs > 0 : a.hello.nonce < b.hello.nonce;
}

/** Who goes on, as told to the one that must yield. */
export interface Rightful {
  readonly name: string;
  /** Where it was seen by the node that tells. */
  readonly address: string;
}

export function encodeRightful({ name, address }: Rightful, out: ByteWriter): void {
  out.text(name).text(address);
}

export function decodeRightful(input: ByteReader): Rightful {
  return { name: input.text(), address: input.text() };
}

/** What is known of the process that an older one is refused for. */
export interface Outrun {
  readonly incarnation: Incarnation;
  /** Where it was reached last; empty: not known. */
  readonly address: string;
}

export function encodeOutrun({ incarnation, address }: Outrun, out: ByteWriter): void {
  out.varint(incarnation).text(address);
}

/** What a newer version adds it passes over. */
export function decodeOutrun(input: ByteReader): Outrun {
  return { incarnation: input.varint() as Incarnation, address: input.text() };
}
