/**
 * The files that were set aside as damaged while this server has been suspect: under which time, and what is legible in them.
 *
 * A damaged segment and all behind it get the same time in their names, so that the order of the journal is known again when
 * they are read. Times only rise, whatever the wall clock does. A start that was interrupted while it set files aside is gone
 * on with under its own time.
 */

import type { Disk } from "@skein/kernel";
import { asidePath, asideTime, isAside, readOrDamaged, segmentPath } from "./files.ts";
import { Remains } from "./remains.ts";
import { scanSegment } from "./segment-scan.ts";

const ASIDE_SEGMENT = /^(\d{10})\.log\.bad-(\d+)$/;

interface AsideSegment {
  readonly path: string;
  readonly number: number;
  readonly time: number;
}

export class SetAside {
  /** Time of the first files that were set aside while this server has been suspect; 0: none were. */
  since = 0;
  readonly #disk: Disk;
  readonly #folder: string;
  #time: number;

  constructor(disk: Disk, folder: string, wallMs: number) {
    this.#disk = disk;
    this.#folder = folder;
    const before = disk.list(folder).filter(isAside);
    this.#time = Math.max(Math.floor(wallMs), 0, ...before.map((name) => asideTime(name) + 1));
  }

  /** Under which files are set aside now. */
  get time(): number {
    return this.#time;
  }

  /** Segment `number`, with this content if it can be read, and all `later` ones are about to be set aside. */
  begin(number: number, bytes: Uint8Array | undefined, later: readonly number[]): void {
    if (this.since === 0) this.since = this.#time;
    else if (this.#isFree(number, bytes) && later.every((other) => this.#isFree(other, undefined)))
      this.#time = this.since;
  }

  /** Whether an earlier start has already set aside segments behind this one, and nothing has been done to this one since. */
  wasInterrupted(number: number, bytes: Uint8Array): boolean {
    if (this.since === 0 || !this.#isFree(number, bytes)) return false;
    return this.#segments().some((other) => other.time === this.since && other.number > number);
  }

  /** The segments behind `number` that were set aside under the same time. */
  behind(number: number): readonly AsideSegment[] {
    return this.#segments().filter((other) => other.time === this.#time && other.number > number);
  }

  /** The entries in all segments that have been set aside since {@link since}. */
  remains(): Remains {
    const remains = new Remains();
    let time = 0;
    for (const segment of this.#segments()) {
      if (segment.time !== time) remains.beginLayer();
      time = segment.time;
      this.#read(segment, remains);
    }
    return remains;
  }

  /** Whether segment `number` can be set aside under the time of the first ones: nothing is, or the same. */
  #isFree(number: number, bytes: Uint8Array | undefined): boolean {
    const kept = readOrDamaged(this.#disk, asidePath(segmentPath(this.#folder, number), this.since));
    if (typeof kept === "string") return kept === "missing";
    return bytes?.length === kept.length && bytes.every((byte, at) => byte === kept[at]);
  }

  /** By time, and then in the order of the journal. */
  #segments(): readonly AsideSegment[] {
    if (this.since === 0) return [];
    const found: AsideSegment[] = [];
    for (const name of this.#disk.list(this.#folder)) {
      const [, number, time] = ASIDE_SEGMENT.exec(name) ?? [];
      if (Number(time) >= this.since)
        found.push({ path: `${this.#folder}/${name}`, number: Number(number), time: Number(time) });
    }
    return found.sort((a, b) => a.time - b.time || a.number - b.number);
  }

  #read({ path, number }: AsideSegment, remains: Remains): void {
    const bytes = readOrDamaged(this.#disk, path);
    if (typeof bytes === "string") return;
    const { records, after } = scanSegment(bytes, number);
    const own = after.filter(({ isInside }) => !isInside);
    for (const { record } of [...records, ...own]) {
      if (record.kind === "entry") remains.add(record.entry, record.previousTerm);
      else if (record.kind === "superseded") remains.supersede(record.from);
      else if (record.kind === "reset") remains.supersede(0);
    }
  }
}
