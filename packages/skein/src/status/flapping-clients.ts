/**
 * Two devices that use one client id throw each other out, again and again: the owner sees both work for seconds at a time.
 *
 * A take-over is normal when a client comes back before its old connection is known to be dead. More than five in a minute are
 * not; then both addresses are named. Across nodes each
 * counts those that it loses to others.
 */

import { shownClient } from "./shown-client.ts";

/** Take-overs within a minute that are no alarm yet (R17). */
const TAKEOVERS_MAX = 5;
const WINDOW_MS = 60_000;
/** Client ids watched at a time: who takes over seldom makes room. */
const CLIENTS_MAX = 1000;

interface Takeovers {
  /** When the newest ones were. */
  times: number[];
  from: string;
  by: string;
  isAlarm: boolean;
}

export class FlappingClients {
  readonly #clients = new Map<string, Takeovers>();

  /** Returns the alarm when it begins. `from` is an address with its port, `by` likewise or the name of another node. */
  takenOver(clientId: string, from: string, by: string, now: number): string | undefined {
    const known = this.#clients.get(clientId) ?? { times: [], from, by, isAlarm: false };
    // The one that took over last is the newest.
    this.#clients.delete(clientId);
    this.#clients.set(clientId, known);
    known.times = [...known.times.filter((at) => now - at < WINDOW_MS), now].slice(-TAKEOVERS_MAX - 1);
    known.from = hostOf(from);
    known.by = hostOf(by);
    this.#makeRoom();
    const isAlarm = known.times.length > TAKEOVERS_MAX;
    const hasBegun = isAlarm && !known.isAlarm;
    known.isAlarm = isAlarm;
    return hasBegun ? sentence(clientId, known) : undefined;
  }

  /** The alarms that go on, one sentence each. */
  alarms(now: number): readonly string[] {
    const alarms: string[] = [];
    for (const [clientId, takeovers] of this.#clients) {
      if (now - (takeovers.times.at(-1) ?? 0) >= WINDOW_MS) this.#clients.delete(clientId);
      else if (takeovers.isAlarm) alarms.push(sentence(clientId, takeovers));
    }
    return alarms;
  }

  #makeRoom(): void {
    const [oldest] = this.#clients.keys();
    if (this.#clients.size > CLIENTS_MAX && oldest !== undefined) this.#clients.delete(oldest);
  }
}

function sentence(clientId: string, { from, by }: Takeovers): string {
  const who =
    from === by
      ? `${from} connects with it again and again`
      : `${from} and ${by} throw each other out; give one of them another id`;
  return `Client id ${shownClient(clientId)} is taken over more than ${TAKEOVERS_MAX} times a minute: ${who}.`;
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, "");
}
