/**
 * The fail-over log on disk: one small file, so that a node that restarts still knows what happened before.
 *
 * Rewritten as a whole when an event is complete, not more often than every half minute (SD cards: R13). A damaged file is
 * ignored with a warning: it costs history, nothing else (P12).
 */

import { type Clock, type Disk, decodeUtf8, encodeUtf8Into, type Log, utf8Length } from "@skein/kernel";
import { type MeshEvent, parseEvent } from "./mesh-event.ts";

const FILE = "events.json";
const FILE_EVENTS_MAX = 100;
const FILE_BYTES_MAX = 256 * 1024;
const WRITE_EVERY_MS = 30_000;

export interface EventFilePorts {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly log: Log;
}

/** The events of earlier runs, oldest first. Empty where there is no file that can be understood. */
export function loadEvents({ disk, log }: Pick<EventFilePorts, "disk" | "log">): readonly MeshEvent[] {
  try {
    const bytes = disk.read(FILE);
    if (bytes === undefined) return [];
    if (bytes.length > FILE_BYTES_MAX) throw new Error(`it has ${bytes.length} bytes`);
    const content: unknown = JSON.parse(decodeUtf8(bytes, 0, bytes.length));
    if (!Array.isArray(content)) throw new Error("it is no list");
    return content.slice(-FILE_EVENTS_MAX).flatMap((item) => parseEvent(item) ?? []);
  } catch (error) {
    log.warn({ file: FILE, reason: String(error) }, "the list of events is unreadable and ignored");
    return [];
  }
}

export class EventFile {
  readonly #ports: EventFilePorts;
  /** Version of the log that the file holds. */
  #written = 0;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #isWriting = false;

  constructor(ports: EventFilePorts) {
    this.#ports = ports;
  }

  /** Call it again and again; `version` changes with the events (oldest first). */
  update(version: number, events: () => readonly MeshEvent[]): void {
    const now = this.#ports.clock.monotonicMs();
    if (version === this.#written || this.#isWriting || now - this.#writtenAt < WRITE_EVERY_MS) return;
    const complete = events().filter(({ isOver }) => isOver);
    // One that goes on is written when it is over.
    if (complete.length === 0) return;
    this.#writtenAt = now;
    this.#write(version, complete.slice(-FILE_EVENTS_MAX));
  }

  #write(version: number, events: readonly MeshEvent[]): void {
    const { disk, log } = this.#ports;
    const text = `[\n${events.map((event) => JSON.stringify(event)).join(",\n")}\n]\n`;
    const bytes = new Uint8Array(utf8Length(text));
    encodeUtf8Into(text, bytes, 0);
    this.#isWriting = true;
    disk.replace(FILE, bytes, (error) => {
      this.#isWriting = false;
      if (error === undefined) this.#written = version;
      else log.warn({ file: FILE, reason: error.message }, "events could not be written");
    });
  }
}
