/**
 * Two devices that use one client id throw each other out, again and again: the owner sees both work for seconds at a time.
 *
 * A takeover is normal when a client comes back before its old connection is known to be dead. More than five in a minute are not; then
 * both addresses are named. Each takeover is seen as lost by one node only, and that knows the address of the device that was there. So each node
 * tells what it has lost in its reports, and adds what the others tell: of two devices on two nodes each has half of the takeovers and one address.
 */

import { isNodeId, type NodeId, utf8Length } from "@skein/kernel";
import type { Note } from "./note.ts";
import { shownClient } from "./shown-client.ts";

/** Takeovers within a minute that are no alarm yet (R17). */
const TAKEOVERS_MAX = 5;
const WINDOW_MS = 60_000;
/** Those of another node are known with its next report only, and may make an alarm of older ones here. */
const REMEMBERED_MS = 2 * WINDOW_MS;
/** Client ids watched at a time: who takes over seldom makes room. */
const CLIENTS_MAX = 1000;
/** Alarms at a time, those with the newest takeovers. */
const ALARMS_MAX = 20;
/** A report has room for more than this. Who has lost one connection only has come back, as a rule, and is not told of. */
const TOLD_BYTES_MAX = 1500;
const TOLD_FROM = 2;

/** Connections with one client id that one node has lost to newer ones. */
export interface Takeovers {
  readonly clientId: string;
  /** Address of the device that lost the newest. */
  readonly from: string;
  /** Who took that over: an address, or the id of the node that it is on. */
  readonly by: string;
  /** How long ago each was, in ms; the newest six at most. */
  readonly agesMs: readonly number[];
}

/** What another node has told. */
export interface ToldTakeovers {
  readonly node: NodeId;
  /** Monotonic. */
  readonly receivedAt: number;
  readonly takeovers: readonly Takeovers[];
}

export interface FlappingInputs {
  readonly told: readonly ToldTakeovers[];
  readonly nameOf: (node: NodeId) => string | undefined;
  /** Monotonic. */
  readonly now: number;
}

/** The same with times instead of ages, the oldest first. */
interface Losses {
  readonly from: string;
  readonly by: string;
  readonly times: readonly number[];
}

export class FlappingClients {
  readonly #self: NodeId;
  readonly #own = new Map<string, Losses>();

  constructor(self: NodeId) {
    this.#self = self;
  }

  /** This node has lost one. `from` is an address with its port, `by` likewise or the id of another node. */
  takenOver(clientId: string, from: string, by: string, now: number): void {
    const { times = [] } = this.#own.get(clientId) ?? {};
    // The one that was taken over last is the newest.
    this.#own.delete(clientId);
    this.#own.set(clientId, { from: hostOf(from), by: hostOf(by), times: newest([...times, now]) });
    const [oldest] = this.#own.keys();
    if (this.#own.size > CLIENTS_MAX && oldest !== undefined) this.#own.delete(oldest);
  }

  /** What the others are told: those that were taken over most often, as far as there is room. */
  told(now: number): readonly Takeovers[] {
    this.#forget(now);
    const all = [...this.#own].flatMap(([clientId, { from, by, times }]) => {
      const agesMs = times.map((at) => Math.round(now - at)).filter((age) => age < REMEMBERED_MS);
      const isTold = agesMs.length >= TOLD_FROM && clientId.length < TOLD_BYTES_MAX;
      return isTold ? [{ clientId, from, by, agesMs }] : [];
    });
    all.sort((a, b) => b.agesMs.length - a.agesMs.length);
    let left = TOLD_BYTES_MAX;
    return all.filter((takeovers) => {
      const bytes = utf8Length(JSON.stringify(takeovers));
      if (bytes > left) return false;
      left -= bytes;
      return true;
    });
  }

  /** The alarms that go on: until a minute after the last takeover. */
  notes({ told, nameOf, now }: FlappingInputs): readonly Note[] {
    this.#forget(now);
    const alarms = [...this.#everywhere(told)].flatMap(([clientId, byNode]) => {
      const times = newest([...byNode.values()].flatMap((losses) => losses.times));
      const [first = 0] = times;
      const last = times.at(-1) ?? 0;
      const isFlapping = times.length > TAKEOVERS_MAX && last - first < WINDOW_MS;
      return isFlapping && now - last < WINDOW_MS ? [{ clientId, byNode, last }] : [];
    });
    alarms.sort((a, b) => b.last - a.last);
    return alarms.slice(0, ALARMS_MAX).map(({ clientId, byNode }) => ({
      subject: `flapping ${shownClient(clientId)}`,
      text: sentence(clientId, byNode, nameOf),
      isAlarm: true,
    }));
  }

  /** By client id, what each node has lost. */
  #everywhere(told: readonly ToldTakeovers[]): ReadonlyMap<string, ReadonlyMap<NodeId, Losses>> {
    const all = new Map<string, Map<NodeId, Losses>>();
    for (const [clientId, losses] of this.#own) all.set(clientId, new Map([[this.#self, losses]]));
    for (const { node, receivedAt, takeovers } of told)
      for (const { clientId, from, by, agesMs } of takeovers) {
        const byNode = all.get(clientId) ?? new Map<NodeId, Losses>();
        all.set(clientId, byNode);
        byNode.set(node, { from, by, times: newest(agesMs.map((age) => receivedAt - age)) });
      }
    return all;
  }

  #forget(now: number): void {
    for (const [clientId, { times }] of this.#own)
      if (now - (times.at(-1) ?? 0) >= REMEMBERED_MS) this.#own.delete(clientId);
  }
}

function newest(times: readonly number[]): readonly number[] {
  return [...times].sort((a, b) => a - b).slice(-TAKEOVERS_MAX - 1);
}

function sentence(
  clientId: string,
  byNode: ReadonlyMap<NodeId, Losses>,
  nameOf: FlappingInputs["nameOf"],
): string {
  const all = [...byNode.values()].sort((a, b) => (b.times.at(-1) ?? 0) - (a.times.at(-1) ?? 0));
  const [{ from, by } = { from: "", by: "" }] = all;
  // Who took it over there has been thrown out there, too, and that node has told its address.
  const other = isNodeId(by) ? (byNode.get(by)?.from ?? `a client of ${nameOf(by) ?? by}`) : by;
  const who =
    from === other
      ? `${from} connects with it again and again`
      : `${from} and ${other} throw each other out; give one of them another id`;
  return `Client id ${shownClient(clientId)} is taken over more than ${TAKEOVERS_MAX} times a minute: ${who}.`;
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, "");
}
