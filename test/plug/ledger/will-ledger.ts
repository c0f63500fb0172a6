/**
 * How the lives of clients with a will ended, and what was heard of it.
 *
 * A client lives several times, 0, 1, 2, ...; each CONNECT is a life with a will of its own. When it is connected it publishes that it is
 * back, to the topic of its will. Watchers have kept sessions and QoS 2, so what they hear comes once and in the order in which
 * it was published: a will that comes after the word of a newer life was published when its client was back. Of a CONNECT that was never
 * answered nobody can say when a broker read it (one that was frozen reads it when it thaws); only that its will comes once.
 *
 * A life that ended without DISCONNECT, and whose client then stayed away longer than the broker may wait, must have its will heard; one that
 * came back sooner may. A life that ended with a DISCONNECT that the broker has surely read must not.
 *
 * Source: MQTT 5 section 3.1.2.5, promise P9.
 */

import { type Judgement, seconds, Verdict } from "./judgement.ts";

/** `read`: DISCONNECT was sent and the broker then closed the connection. `sent`: whether it read it is not known. */
export type Ending = "read" | "sent" | "cut";

interface Life {
  readonly client: string;
  readonly number: number;
  /** CONNACK came. */
  isAccepted: boolean;
  /** When the broker had acknowledged that it is back: from then on the broker answers for its will. */
  knownAt: number | undefined;
  ending: Ending | undefined;
  endedAt: number;
  nextAt: number | undefined;
  /** Times at which each watcher heard its will. */
  readonly heard: ReadonlyMap<string, number[]>;
}

export class WillLedger {
  readonly #watchers: readonly string[];
  /** A broker may wait this long with a will, in ms. */
  readonly #graceMs: number;
  readonly #lives = new Map<string, Life[]>();
  /** By watcher and client: the newest life that it has heard to be back. */
  readonly #newest = new Map<string, { readonly life: number; readonly at: number }>();
  readonly #late = new Verdict("no will comes after its client was back");

  constructor(watchers: readonly string[], graceMs: number) {
    this.#watchers = watchers;
    this.#graceMs = graceMs;
  }

  /** A CONNECT is sent: a new life begins, and the will of the one before may be called off. */
  began(client: string, at: number): number {
    let lives = this.#lives.get(client);
    if (lives === undefined) {
      lives = [];
      this.#lives.set(client, lives);
    }
    const before = lives.at(-1);
    if (before !== undefined) before.nextAt ??= at;
    const heard = new Map(this.#watchers.map((watcher) => [watcher, []]));
    const number = lives.length;
    lives.push({
      client,
      number,
      isAccepted: false,
      knownAt: undefined,
      ending: undefined,
      endedAt: at,
      nextAt: undefined,
      heard,
    });
    return number;
  }

  /** CONNACK came. */
  accepted(client: string, life: number): void {
    this.#life(client, life).isAccepted = true;
  }

  /** The broker has acknowledged that it is back. It counts while it lives: the word may be sent again in the next life. */
  known(client: string, life: number, at: number): void {
    const found = this.#life(client, life);
    if (found.ending === undefined) found.knownAt ??= at;
  }

  ended(client: string, life: number, ending: Ending, at: number): void {
    const found = this.#life(client, life);
    if (found.ending !== undefined) return;
    found.ending = ending;
    found.endedAt = at;
  }

  heardBack(watcher: string, client: string, life: number, at: number): void {
    const key = `${watcher} ${client}`;
    if (life > (this.#newest.get(key)?.life ?? -1)) this.#newest.set(key, { life, at });
  }

  heardWill(watcher: string, client: string, life: number, at: number): void {
    const found = this.#life(client, life);
    found.heard.get(watcher)?.push(at);
    if (!found.isAccepted) return;
    this.#late.judge();
    const newest = this.#newest.get(`${watcher} ${client}`);
    if (newest === undefined || newest.life <= life) return;
    const what = `its will came at ${seconds(at)}, its return as life ${newest.life} at ${seconds(newest.at)}`;
    this.#late.break({ client: watcher, topic: client, id: `life ${life}`, what });
  }

  /** Lives so far. */
  get lives(): number {
    return [...this.#lives.values()].reduce((sum, lives) => sum + lives.length, 0);
  }

  /** Wills that must have been heard at `at` and have not been, counted for each watcher. */
  missing(at: number): number {
    let missing = 0;
    for (const life of this.#all()) {
      if (!this.#mustBeHeard(life, at)) continue;
      for (const times of life.heard.values()) if (times.length === 0) missing += 1;
    }
    return missing;
  }

  /** @param at when the run ended: wills had until then. */
  judge(at: number): readonly Judgement[] {
    const heard = new Verdict("wills of clients that are gone are published");
    const once = new Verdict("wills are published once");
    const uncalled = new Verdict("no will is published for a client that took its leave");
    for (const life of this.#all()) {
      const { client, number, ending, endedAt } = life;
      for (const [watcher, times] of life.heard) {
        const breach = (what: string) => ({ client: watcher, topic: client, id: `life ${number}`, what });
        const heardAt = times.map(seconds).join(", ");
        const mustBeHeard = this.#mustBeHeard(life, at);
        if (mustBeHeard || (ending === "cut" && times.length > 0)) heard.judge();
        if (mustBeHeard) {
          if (times.length === 0)
            heard.break(breach(`cut off at ${seconds(endedAt)}, its will was never heard`));
        }
        if (times.length > 0) {
          once.judge();
          if (times.length > 1) once.break(breach(`its will came at ${heardAt}`));
        }
        if (ending === "read" || ending === undefined) {
          uncalled.judge();
          const how = ending === undefined ? "still connected" : `took its leave at ${seconds(endedAt)}`;
          if (times.length > 0) uncalled.break(breach(`${how}, its will came at ${heardAt}`));
        }
      }
    }
    return [heard, once, uncalled, this.#late].map(({ judgement }) => judgement);
  }

  #mustBeHeard({ knownAt, ending, endedAt, nextAt }: Life, at: number): boolean {
    return knownAt !== undefined && ending === "cut" && (nextAt ?? at) - endedAt >= this.#graceMs;
  }

  #life(client: string, number: number): Life {
    const life = this.#lives.get(client)?.[number];
    if (life === undefined) throw new RangeError(`${client} has no life ${number}`);
    return life;
  }

  *#all(): Iterable<Life> {
    for (const lives of this.#lives.values()) yield* lives;
  }
}
