/**
 * `peers.json`: where the other nodes were last seen, for a start on a network that drops multicast.
 *
 * Written when it changes, at most once a second. A damaged file is only a lost hint: it is ignored with a warning
 * (P12), and written anew with the next change.
 */

import {
  type Clock,
  type Disk,
  decodeUtf8,
  encodeUtf8Into,
  isNodeId,
  type Log,
  type NodeId,
  type Timer,
  utf8Length,
} from "@skein/kernel";
import { splitAddress } from "../link/address.ts";

const PATH = "peers.json";
const WRITE_INTERVAL_MS = 1000;
/** Peers kept; any one of them leads to the others. */
const PEERS_MAX = 64;

export class RememberedPeers {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #log: Log;
  #written = "";
  #wanted = "";
  #timer: Timer | undefined;
  #isWriting = false;
  #isStopped = false;

  constructor(disk: Disk, clock: Clock, log: Log) {
    this.#disk = disk;
    this.#clock = clock;
    this.#log = log;
  }

  /** The peers of last time, node id to `host:port`; empty if there is no file or it cannot be read. */
  load(): ReadonlyMap<NodeId, string> {
    try {
      const bytes = this.#disk.read(PATH);
      if (bytes === undefined) return new Map();
      const text = decodeUtf8(bytes, 0, bytes.length);
      this.#written = text;
      return parse(text);
    } catch (error) {
      this.#log.warn({ file: PATH, reason: String(error) }, "remembered peers are unreadable and ignored");
      return new Map();
    }
  }

  /** These are the peers now. */
  remember(peers: ReadonlyMap<NodeId, string>): void {
    const rows = [...peers].slice(-PEERS_MAX).map(([node, address]) => ({ node, address }));
    this.#wanted = `${JSON.stringify({ version: 1, peers: rows })}\n`;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isWriting || this.#isStopped || this.#wanted === this.#written)
      return;
    this.#timer = this.#clock.after(WRITE_INTERVAL_MS, () => {
      this.#timer = undefined;
      this.#write();
    });
  }

  /** What was to be written is written now: the next start may have nothing else to go by. */
  stop(): void {
    this.#isStopped = true;
    if (this.#timer === undefined) return;
    this.#timer.cancel();
    this.#timer = undefined;
    this.#write();
  }

  #write(): void {
    const text = this.#wanted;
    if (text === this.#written) return;
    const bytes = new Uint8Array(utf8Length(text));
    encodeUtf8Into(text, bytes, 0);
    this.#isWriting = true;
    this.#disk.replace(PATH, bytes, (error) => {
      this.#isWriting = false;
      if (error === undefined) this.#written = text;
      else this.#log.warn({ file: PATH, reason: error.message }, "remembered peers could not be written");
      if (this.#wanted !== text) this.#schedule();
    });
  }
}

/** Some object of the file, with the members it may have; whatever they hold is checked. */
interface FileObject {
  readonly peers?: unknown;
  readonly node?: unknown;
  readonly address?: unknown;
}

/** @throws {SyntaxError} if it is not JSON. Rows of a wrong form are passed over. */
function parse(text: string): Map<NodeId, string> {
  const content: unknown = JSON.parse(text);
  const { peers: rows } = isRecord(content) ? content : {};
  const peers = new Map<NodeId, string>();
  if (!Array.isArray(rows)) throw new SyntaxError("no list of peers");
  for (const row of rows.slice(0, PEERS_MAX) as unknown[]) {
    if (!isRecord(row)) continue;
    const { node, address } = row;
    if (typeof node !== "string" || typeof address !== "string") continue;
    if (isNodeId(node) && splitAddress(address) !== undefined) peers.set(node, address);
  }
  return peers;
}

function isRecord(value: unknown): value is FileObject {
  return typeof value === "object" && value !== null;
}
