/**
 * What two clusters say to each other about merging. These frames cross the cluster check on purpose, and name both clusters.
 *
 * `type u8 | from cluster text | kind u8 | to cluster text | body`. Sent to any linked member of the other cluster, which
 * passes them to its leader; unnumbered, lost and repeated at will. Kinds: 1 summary, 2 chunk, 3 progress. Whatever a newer
 * version adds stands behind what this one reads, and is skipped.
 *
 * Source: reference design, section 1.4.
 */

import { type ByteReader, type ByteWriter, type ClusterId, SkeinError } from "@skein/kernel";
import type { Stamp } from "../hybrid-clock.ts";
import type { MergePhase } from "../state-machine/clusters.ts";
import { readClusterId } from "../wire-ids.ts";

/** A cluster in short, as its leader knows it. */
export interface Summary {
  readonly voters: number;
  /** Voters and learners. */
  readonly nodes: number;
  readonly commitIndex: number;
  readonly ageMinutes: number;
  readonly retainedCount: number;
  readonly retainedBytes: number;
  /** Merging with the receiver's cluster has been approved here. */
  readonly isApproved: boolean;
  /** The highest kind of item in a chunk that this version reads and writes (merge-export.ts). */
  readonly exportFormat: number;
  /** It is ready to take the receiver's cluster in. */
  readonly offers: boolean;
  /** It has given itself up already. */
  readonly dissolution: { readonly winner: ClusterId; readonly cut: number } | undefined;
}

export type MergeMessage =
  | { readonly kind: "summary"; readonly summary: Summary }
  /** From the loser to the winner. `now`: the loser's time, by its hybrid clock. */
  | {
      readonly kind: "chunk";
      readonly cut: number;
      readonly chunk: number;
      readonly isLast: boolean;
      readonly now: Stamp;
      readonly bytes: Uint8Array;
    }
  /** From the winner to the loser: how far the merge of `cut` is. Of `merged` the cut does not matter. */
  | {
      readonly kind: "progress";
      readonly cut: number;
      readonly phase: MergePhase;
      /** The chunk that it wants next. */
      readonly next: number;
    };

const SUMMARY = 1;
const CHUNK = 2;
const PROGRESS = 3;
const PHASES: readonly MergePhase[] = ["merging", "merged", "aborted"];

export function writeMergeMessage(message: MergeMessage, to: ClusterId, out: ByteWriter): void {
  switch (message.kind) {
    case "summary":
      writeSummary(message.summary, out.u8(SUMMARY).text(to));
      return;
    case "chunk":
      out.u8(CHUNK).text(to).varint(message.cut).varint(message.chunk);
      out
        .u8(message.isLast ? 1 : 0)
        .varint(message.now)
        .bytes(message.bytes);
      return;
    case "progress":
      out.u8(PROGRESS).text(to).varint(message.cut).u8(PHASES.indexOf(message.phase)).varint(message.next);
      return;
  }
}

/** A chunk is a copy. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readMergeMessage(input: ByteReader): { to: ClusterId; message: MergeMessage } {
  const kind = input.u8();
  const to = readClusterId(input);
  const message = readBody(kind, input);
  // What a newer version has added.
  input.raw(input.remaining);
  return { to, message };
}

function readBody(kind: number, input: ByteReader): MergeMessage {
  switch (kind) {
    case SUMMARY:
      return { kind: "summary", summary: readSummary(input) };
    case CHUNK: {
      const [cut, chunk, isLast, now] = [input.varint(), input.varint(), input.u8() === 1, input.varint()];
      return { kind: "chunk", cut, chunk, isLast, now, bytes: input.copy(input.varint()) };
    }
    case PROGRESS: {
      const [cut, phase, next] = [input.varint(), PHASES[input.u8()], input.varint()];
      if (phase === undefined) throw malformed("phase");
      return { kind: "progress", cut, phase, next };
    }
    default:
      throw malformed(`kind ${kind}`);
  }
}

function writeSummary(summary: Summary, out: ByteWriter): void {
  const { dissolution } = summary;
  out.varint(summary.voters).varint(summary.nodes).varint(summary.commitIndex).varint(summary.ageMinutes);
  out.varint(summary.retainedCount).varint(summary.retainedBytes).varint(summary.exportFormat);
  out.u8((summary.isApproved ? 1 : 0) | (summary.offers ? 2 : 0) | (dissolution === undefined ? 0 : 4));
  if (dissolution !== undefined) out.text(dissolution.winner).varint(dissolution.cut);
}

function readSummary(input: ByteReader): Summary {
  const [voters, nodes, commitIndex] = [input.varint(), input.varint(), input.varint()];
  const [ageMinutes, retainedCount, retainedBytes] = [input.varint(), input.varint(), input.varint()];
  const [exportFormat, flags] = [input.varint(), input.u8()];
  const dissolution = (flags & 4) === 0 ? undefined : { winner: readClusterId(input), cut: input.varint() };
  return {
    voters,
    nodes,
    commitIndex,
    ageMinutes,
    retainedCount,
    retainedBytes,
    isApproved: (flags & 1) !== 0,
    exportFormat,
    offers: (flags & 2) !== 0,
    dissolution,
  };
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode message between clusters: ${what}`);
}
