/**
 * What a node says of itself to the nodes it is linked with, besides its facts: numbers that change all the time.
 *
 * Facts spread by gossip and cost a round whenever they change; a report goes to the linked peers only, every ten seconds (in a large mesh twenty), and is
 * forgotten with the next one. `type u8 | JSON` in the channel of control frames, bounded, and read without trust.
 */

import { decodeUtf8, encodeUtf8Into, isNodeId, utf8Length } from "@skein/kernel";
import type { Takeovers } from "../status/flapping-clients.ts";

export interface NodeReport {
  /** Of the program. */
  readonly version: string;
  /** What its wall clock shows. */
  readonly wallMs: number;
  /** Resident memory; 0: unknown. */
  readonly memoryBytes: number;
  /** Messages received from clients. */
  readonly messagesPerSecond: number;
  /** Why it cannot hold the floating address; empty: it can, or has none. */
  readonly addressProblem: string;
  /** Entries of the log that other replicas lack, of those that lack any; undefined: it does not lead, and cannot know. */
  readonly lags: Readonly<Record<string, number>> | undefined;
  /** Who came back as a new node (its id), by the id that it had: it cannot know that itself. */
  readonly returned: Readonly<Record<string, string>>;
  /** Its replica does not hold what the others agree on; it has found that by comparing hashes with the coordinator. */
  readonly isDiverged: boolean;
  /** It announces itself by mDNS. */
  readonly isAnnounced: boolean;
  /** Connections of clients that it has lost lately to newer ones with the same client id, of those that it has lost more than one of. */
  readonly takeovers: readonly Takeovers[];
}

/** See coordinator/src/frames.ts: types from 64 on are not the coordinator's. */
export const REPORT_FRAME = 65;
const FRAME_BYTES_MAX = 4096;
const TEXT_MAX = 300;
const LAGS_MAX = 32;
const RETURNED_MAX = 8;
const TAKEOVERS_MAX = 32;
const AGES_MAX = 6;

export function encodeReport(report: NodeReport): Uint8Array {
  const { returned, ...rest } = report;
  const content = Object.keys(returned).length === 0 ? rest : report;
  // What is empty, 0 or false is read so where it is missing: most of it is, in most reports.
  const told = Object.entries(content).filter(([, value]) => !isNothing(value));
  const text = JSON.stringify(Object.fromEntries(told));
  const bytes = new Uint8Array(1 + utf8Length(text));
  bytes[0] = REPORT_FRAME;
  encodeUtf8Into(text, bytes, 1);
  return bytes;
}

/** Undefined: it is no report. */
export function decodeReport(bytes: Uint8Array): NodeReport | undefined {
  if (bytes[0] !== REPORT_FRAME || bytes.length > FRAME_BYTES_MAX) return undefined;
  let content: Partial<Record<keyof NodeReport, unknown>> | null;
  try {
    content = JSON.parse(decodeUtf8(bytes, 1, bytes.length));
  } catch {
    return undefined; // A peer with a fault has no say here.
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) return undefined;
  return {
    version: textIn(content.version),
    wallMs: numberIn(content.wallMs),
    memoryBytes: numberIn(content.memoryBytes),
    messagesPerSecond: numberIn(content.messagesPerSecond),
    addressProblem: textIn(content.addressProblem),
    lags: content.lags === undefined ? undefined : lagsIn(content.lags),
    returned: returnedIn(content.returned),
    isDiverged: content.isDiverged === true,
    isAnnounced: content.isAnnounced === true,
    takeovers: takeoversIn(content.takeovers),
  };
}

function isNothing(value: unknown): boolean {
  return value === "" || value === 0 || value === false || (Array.isArray(value) && value.length === 0);
}

function textIn(input: unknown): string {
  return typeof input === "string" ? input.slice(0, TEXT_MAX) : "";
}

function numberIn(input: unknown): number {
  return typeof input === "number" && Number.isFinite(input) && input >= 0 ? input : 0;
}

function lagsIn(input: unknown): Readonly<Record<string, number>> {
  return Object.fromEntries(entriesIn(input, LAGS_MAX).map(([id, lag]) => [id, numberIn(lag)]));
}

function returnedIn(input: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(entriesIn(input, RETURNED_MAX).map(([id, successor]) => [id, textIn(successor)]));
}

function takeoversIn(input: unknown): readonly Takeovers[] {
  if (!Array.isArray(input)) return [];
  return input.slice(0, TAKEOVERS_MAX).flatMap((item: Partial<Record<keyof Takeovers, unknown>> | null) => {
    const { clientId, from, by, agesMs } = item ?? {};
    if (typeof clientId !== "string" || !Array.isArray(agesMs)) return [];
    return [
      { clientId, from: textIn(from), by: textIn(by), agesMs: agesMs.slice(0, AGES_MAX).map(numberIn) },
    ];
  });
}

/** Node ids only, so that no key means anything to an object. */
function entriesIn(input: unknown, countMax: number): readonly (readonly [string, unknown])[] {
  if (typeof input !== "object" || input === null) return [];
  return Object.entries(input)
    .slice(0, countMax)
    .filter(([id]) => isNodeId(id));
}
