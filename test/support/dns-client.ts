/**
 * A client that asks by multicast DNS from a namespace of its own and keeps what it hears, as the resolver of a phone or a PC does.
 *
 * Its cache follows RFC 6762 to the letter: lifetimes; a goodbye ends a record in a second (10.1); a record with the cache-flush
 * bit ends the others of its name and type that are older than a second, in a second (10.2).
 */

import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { eventually } from "../containers/support/eventually.ts";
import { launcherIn } from "./network-lab.ts";

const PROGRAM = fileURLToPath(new URL("dns-client-process.ts", import.meta.url));
/** Who answers does it within 120 ms; the rest is for a busy machine. */
const OTHERS_ANSWER_MS = 300;
const GRACE_MS = 1000;

type Kind = "A" | "AAAA" | "PTR" | "SRV";

export interface Question {
  readonly name: string;
  readonly type: Kind;
}

/** A record as it came. */
export interface HeardRecord {
  readonly name: string;
  readonly type: string;
  /** Seconds; 0: a goodbye. */
  readonly ttl: number;
  /** The cache-flush bit. */
  readonly flush: boolean;
  /** An address, a name; of SRV `name:port`. */
  readonly data: string;
  /** IP address of the sender. */
  readonly from: string;
  /** performance.now() */
  readonly at: number;
}

interface Cached {
  readonly record: HeardRecord;
  endsAt: number;
}

export class DnsClient {
  /** Everything, in order. */
  readonly heard: HeardRecord[] = [];
  readonly #process: ChildProcess;
  #cache: Cached[] = [];
  #isReady = false;

  /** @param address of the client's interface in `namespace` */
  constructor(namespace: string, address: string) {
    const [program = "", ...args] = [...launcherIn(namespace), process.execPath, PROGRAM, address];
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#process = child;
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#read(line);
    });
  }

  async ready(): Promise<void> {
    await eventually("the DNS client listens", { withinMs: 10_000 }, async () => {
      if (!this.#isReady) throw new Error("not yet");
    });
  }

  /** Asks in one packet. Returns what is heard from then on until each question is answered and all who answer have had the time to. */
  async ask(...questions: readonly Question[]): Promise<readonly HeardRecord[]> {
    const from = this.heard.length;
    this.#process.stdin?.write(`${JSON.stringify(questions)}\n`);
    await this.hears("an answer to each question", from, (records) =>
      questions.every((one) => records.some((record) => isAbout(record, one))),
    );
    await delay(OTHERS_ANSWER_MS);
    return this.heard.slice(from);
  }

  /** Waits until what was heard since the record number `from` is as wanted. */
  async hears(
    what: string,
    from: number,
    isWanted: (records: readonly HeardRecord[]) => boolean,
    withinMs = 30_000,
  ): Promise<void> {
    await eventually(`the DNS client hears ${what}`, { withinMs, everyMs: 20 }, async () => {
      const records = this.heard.slice(from);
      if (!isWanted(records)) throw new Error(JSON.stringify(records.slice(-8)));
    });
  }

  /** What it has of this in its cache, without asking; `at` (performance.now()): what it will have then if it hears nothing more. */
  cached({ name, type }: Question, at = performance.now()): readonly string[] {
    return this.#cache
      .filter(({ record, endsAt }) => endsAt > at && isAbout(record, { name, type }))
      .map(({ record }) => record.data)
      .sort();
  }

  remove(): void {
    this.#process.kill("SIGKILL");
  }

  #read(line: string): void {
    this.#isReady = true;
    const { from, records } = JSON.parse(line) as {
      readonly from: string;
      readonly records: readonly (Omit<HeardRecord, "data" | "flush"> & { flush?: boolean; data: unknown })[];
    };
    const at = performance.now();
    for (const { name, type, ttl, flush = false, data } of records) {
      const record = { name, type, ttl, flush, data: textOf(data), from, at };
      this.heard.push(record);
      this.#keep(record);
    }
  }

  #keep(record: HeardRecord): void {
    const { at, flush, ttl, data } = record;
    const isSame = (one: Cached): boolean => isAbout(one.record, record) && one.record.data === data;
    for (const one of this.#cache) {
      const isFlushed = flush && isAbout(one.record, record) && at - one.record.at > GRACE_MS;
      if (isFlushed || (ttl === 0 && isSame(one))) one.endsAt = Math.min(one.endsAt, at + GRACE_MS);
    }
    if (ttl === 0) return;
    this.#cache = this.#cache.filter((one) => one.endsAt > at && !isSame(one));
    this.#cache.push({ record, endsAt: at + ttl * 1000 });
  }
}

function isAbout(record: { readonly name: string; readonly type: string }, question: typeof record): boolean {
  return record.type === question.type && record.name.toLowerCase() === question.name.toLowerCase();
}

function textOf(data: unknown): string {
  if (typeof data === "string") return data;
  const { target, port } = data as { readonly target?: string; readonly port?: number };
  return target === undefined ? JSON.stringify(data) : `${target}:${port}`;
}
