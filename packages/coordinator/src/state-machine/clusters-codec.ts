/** The bytes of clusters.ts in snapshots and in chunks of a merge. */

import { type ByteReader, type ByteWriter, type ClusterId, SkeinError } from "@skein/kernel";
import { readClusterId } from "../wire-ids.ts";
import { APPROVED_MAX, type ClustersState, type MergePhase, type MergeRow, ROWS_MAX } from "./clusters.ts";

const PHASES: readonly MergePhase[] = ["merging", "merged", "aborted"];

export function writeClusters(state: ClustersState, out: ByteWriter): void {
  const { dissolution, parent, approved, rows } = state;
  out.u8(dissolution === undefined ? 0 : 1);
  if (dissolution !== undefined)
    out.text(dissolution.winner).varint(dissolution.cut).varint(dissolution.chunkBytes);
  out.u8(parent === undefined ? 0 : 1);
  if (parent !== undefined) out.text(parent.cluster).varint(parent.index);
  out.varint(state.ageMinutes).varint(approved.length);
  for (const cluster of approved) out.text(cluster);
  out.varint(rows.length);
  for (const row of rows) writeRow(row, out);
}

/** @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readClusters(input: ByteReader): ClustersState {
  const dissolution =
    input.u8() === 0
      ? undefined
      : { winner: readClusterId(input), cut: input.varint(), chunkBytes: input.varint() };
  const parent = input.u8() === 0 ? undefined : { cluster: readClusterId(input), index: input.varint() };
  const ageMinutes = input.varint();
  const approved: ClusterId[] = [];
  for (let left = count(input, APPROVED_MAX); left > 0; left--) approved.push(readClusterId(input));
  const rows: MergeRow[] = [];
  for (let left = count(input, ROWS_MAX); left > 0; left--) rows.push(readRow(input));
  return { dissolution, parent, ageMinutes, approved, rows };
}

export function writeRow(row: MergeRow, out: ByteWriter): void {
  out.text(row.cluster).varint(row.cut).u8(PHASES.indexOf(row.phase)).varint(row.chunks);
  out.u8(row.isComplete ? 1 : 0).u8(row.shift < 0 ? 1 : 0);
  out.varint(Math.abs(row.shift)).varint(row.forkedAt).varint(row.topics).varint(row.index);
}

/** @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readRow(input: ByteReader): MergeRow {
  const [cluster, cut, phase, chunks] = [readClusterId(input), input.varint(), input.u8(), input.varint()];
  const isComplete = input.u8() === 1;
  const sign = input.u8() === 1 ? -1 : 1;
  const [shift, forkedAt] = [sign * input.varint(), input.varint()];
  const [topics, index] = [input.varint(), input.varint()];
  const name = PHASES[phase];
  if (name === undefined) throw malformed(`phase ${phase}`);
  // `-0` is not `0` for who compares.
  return {
    cluster,
    cut,
    phase: name,
    chunks,
    isComplete,
    shift: shift === 0 ? 0 : shift,
    forkedAt,
    topics,
    index,
  };
}

function count(input: ByteReader, most: number): number {
  const value = input.varint();
  if (value > most) throw malformed(`${value} items`);
  return value;
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode clusters: ${what}`);
}
