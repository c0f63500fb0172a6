/**
 * Values that gave way: two clusters that merged had different values of one topic, or a node had acknowledged one without a quorum and the
 * others another (alone-writes.ts). One of them is served now, the other is here
 * until somebody has looked at it (`skein conflicts`). A deletion that gave way to a value is here, too, as a message without a payload.
 *
 * Bounded: 1,000 values and 8 MiB; beyond that the oldest go, and are counted. Each has a number of its own, so that
 * clearing what was shown does not clear what came meanwhile.
 */

import {
  type ApplicationMessage,
  type ByteReader,
  type ByteWriter,
  type ClusterId,
  decodeMessage,
  encodeMessage,
  type NodeId,
} from "@skein/kernel";
import type { Stamp } from "../hybrid-clock.ts";
import { readClusterId } from "../wire-ids.ts";

export const CONFLICTS_MAX = 1000;
const CONFLICT_BYTES_MAX = 8 * 1024 * 1024;

/** `kept` and `lost` name the cluster each value was written in; what came late says only its own, and names it twice. */
export interface Conflict {
  /** 1, 2, 3, ... in this cluster. */
  readonly id: number;
  /** The value that lost; without a payload: the topic had been deleted. */
  readonly message: ApplicationMessage;
  /** `alone`: the node that acknowledged it without a quorum. Of its values of one topic only the last one is kept, and a deletion after it. */
  readonly lost: {
    readonly cluster: ClusterId;
    readonly stamp: Stamp;
    readonly alone?: NodeId | undefined;
  };
  /** What won; `isDeletion`: the topic was deleted there. */
  readonly kept: { readonly cluster: ClusterId; readonly stamp: Stamp; readonly isDeletion: boolean };
}

export class Conflicts {
  /** In order of id. */
  #list: Conflict[] = [];
  #sizes: number[] = [];
  #bytes = 0;
  #lastId = 0;
  #dropped = 0;
  readonly #measure: ByteWriter;

  constructor(measure: ByteWriter) {
    this.#measure = measure;
  }

  get count(): number {
    return this.#list.length;
  }

  /** Number of the newest one ever. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Thrown away because there were too many. */
  get dropped(): number {
    return this.#dropped;
  }

  all(): readonly Conflict[] {
    return this.#list;
  }

  /** `comesAgain`: it may be older than what the same node has written to that topic since. */
  add(conflict: Omit<Conflict, "id">, comesAgain = false): void {
    if (!this.#replacesEarlier(conflict, comesAgain)) return;
    this.#push({ ...conflict, id: ++this.#lastId });
    while (this.#list.length > CONFLICTS_MAX || this.#bytes > CONFLICT_BYTES_MAX) {
      this.#shift();
      this.#dropped++;
    }
  }

  /** Forgets all up to `id`. */
  clearThrough(id: number): void {
    while ((this.#list[0]?.id ?? Number.POSITIVE_INFINITY) <= id) this.#shift();
  }

  restore(list: readonly Conflict[], lastId: number, dropped: number): void {
    this.#list = [];
    this.#sizes = [];
    this.#bytes = 0;
    for (const conflict of list) this.#push(conflict);
    this.#lastId = lastId;
    this.#dropped = dropped;
  }

  /** Drops what the same node had written before to that topic. False: it has written something later. */
  #replacesEarlier(
    { message: { topic, payload }, lost: { alone, stamp } }: Omit<Conflict, "id">,
    comesAgain: boolean,
  ): boolean {
    if (alone === undefined) return true;
    const isOfSame = ({ message, lost }: Conflict): boolean =>
      message.topic === topic && lost.alone === alone;
    if (comesAgain && this.#list.some((known) => isOfSame(known) && known.lost.stamp > stamp)) return false;
    for (let at = this.#list.length - 1; at >= 0; at--) {
      const known = this.#list[at] as Conflict;
      if (isOfSame(known) && (payload.length > 0 || known.message.payload.length === 0)) this.#remove(at);
    }
    return true;
  }

  #remove(at: number): void {
    this.#list.splice(at, 1);
    this.#bytes -= this.#sizes.splice(at, 1)[0] ?? 0;
  }

  #push(conflict: Conflict): void {
    const out = this.#measure.reset();
    encodeMessage(conflict.message, out);
    this.#list.push(conflict);
    this.#sizes.push(out.length);
    this.#bytes += out.length;
  }

  #shift(): void {
    this.#list.shift();
    this.#bytes -= this.#sizes.shift() ?? 0;
  }
}

/** A deletion as a value that can lose. */
export function deletionOf(topic: string): ApplicationMessage {
  return { topic, payload: new Uint8Array(0), qos: 0, retain: true, properties: undefined };
}

export function writeConflict({ message, lost, kept }: Omit<Conflict, "id">, out: ByteWriter): void {
  out.text(lost.cluster).varint(lost.stamp);
  out
    .text(kept.cluster)
    .varint(kept.stamp)
    .u8(kept.isDeletion ? 1 : 0);
  encodeMessage(message, out);
}

/** The message's payload is a view of the input. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readConflict(input: ByteReader): Omit<Conflict, "id"> {
  const lost = { cluster: readClusterId(input), stamp: input.varint() };
  const kept = { cluster: readClusterId(input), stamp: input.varint(), isDeletion: input.u8() === 1 };
  return { message: decodeMessage(input), lost, kept };
}
