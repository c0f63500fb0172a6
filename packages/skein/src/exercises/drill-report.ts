/**
 * What `skein drill` has seen: a timeline of what changed, and a verdict at the end.
 *
 * A pure function of the looks of a node that goes on, so that every outcome can be tested without a mesh.
 */

import { type Look, nameOf, seconds } from "./mesh-watch.ts";
import type { Drill } from "./node-requests.ts";

export interface TimelineEntry {
  readonly atMs: number;
  readonly text: string;
}

export interface DrillReport {
  readonly isWell: boolean;
  /** One sentence. */
  readonly verdict: string;
  readonly drill: Drill;
  readonly node: string;
  readonly timeline: readonly TimelineEntry[];
  /** From the failure until another node held the address; null: the address was elsewhere, or did not come back. */
  readonly addressMs: number | null;
  /** Until as many clients as before were connected through the address; null: they were not, or none had gone. */
  readonly clientsMs: number | null;
  readonly clientsBefore: number;
  readonly clientsAfter: number;
  readonly retainedLost: number;
}

/** Puts a report together, look by look. */
export class DrillRecord {
  readonly #before: Look;
  readonly #patient: string;
  readonly #drill: Drill;
  readonly #timeline: TimelineEntry[] = [];
  #last: Look;
  #wasAway = false;
  #fewest: number;
  #addressMs: number | null = null;
  #clientsMs: number | null = null;

  constructor(before: Look, patient: string, drill: Drill) {
    this.#before = before;
    this.#patient = patient;
    this.#drill = drill;
    this.#last = before;
    this.#fewest = before.clients;
  }

  /** Returns what is new, in words. */
  seen(look: Look): readonly TimelineEntry[] {
    const known = this.#timeline.length;
    const say = (text: string): void => void this.#timeline.push({ atMs: Math.round(look.at), text });
    const [was, is] = [this.#last, look];
    const name = nameOf(this.#before.status, this.#patient);
    const [wasUp, isUp] = [isUpIn(was, this.#patient), isUpIn(is, this.#patient)];
    if (wasUp !== isUp) say(isUp ? `${name} answers again` : `${name} does not answer`);
    if (!isUp) this.#wasAway = true;
    const [wasState, isState] = [stateIn(was, this.#patient), stateIn(is, this.#patient)];
    if (wasState !== isState) say(`${name} is seen as ${isState}`);
    if (was.status.coordinator !== is.status.coordinator)
      say(`coordinator: ${nameOf(is.status, is.status.coordinator)}`);
    this.#seenHolder(was, is, say);
    this.#seenClients(was, is, say);
    this.#last = look;
    return this.#timeline.slice(known);
  }

  /** The node was away and is back, and everything is as before: there is nothing more to wait for. */
  get isOver(): boolean {
    return this.#wasAway && this.#problem === null;
  }

  get report(): DrillReport {
    const problem = this.#problem;
    const retainedLost = this.#retainedLost;
    const parts = [
      ...(this.#addressMs === null ? [] : [`address back after ${seconds(this.#addressMs)}`]),
      this.#fewest === this.#before.clients
        ? "no client of the address was lost"
        : `clients back${this.#clientsMs === null ? "" : ` after ${seconds(this.#clientsMs)}`}`,
      `${retainedLost} retained lost`,
    ];
    return {
      isWell: problem === null,
      verdict: problem ?? `Well: ${parts.join(", ")}.`,
      drill: this.#drill,
      node: nameOf(this.#before.status, this.#patient),
      timeline: this.#timeline,
      addressMs: this.#addressMs,
      clientsMs: this.#clientsMs,
      clientsBefore: this.#before.clients,
      clientsAfter: this.#last.clients,
      retainedLost,
    };
  }

  get #retainedLost(): number {
    return Math.max(0, this.#before.status.retained - this.#last.status.retained);
  }

  get #problem(): string | null {
    const name = nameOf(this.#before.status, this.#patient);
    const { status, clients } = this.#last;
    if (!this.#wasAway) return `${name} did not fail: it answered all the time. See its log.`;
    if (!isUpIn(this.#last, this.#patient) || stateIn(this.#last, this.#patient) !== "alive")
      return `${name} has not come back. Is there a supervisor (systemd, docker restart policy) that starts it again?`;
    if (this.#before.status.vip.holder !== null && status.vip.holder === null)
      return `No node holds the address ${status.vip.address}. See: skein status`;
    if (status.coordinator === null) return "The mesh has no coordinator. See: skein status";
    if (clients < this.#before.clients)
      return `Only ${clients} of ${this.#before.clients} clients of the address are connected.`;
    if (this.#retainedLost > 0)
      return `${this.#retainedLost} retained messages are missing. If nobody deleted them meanwhile, please report this with the logs of all nodes.`;
    return null;
  }

  #seenHolder(was: Look, is: Look, say: (text: string) => void): void {
    const { holder } = is.status.vip;
    if (was.status.vip.holder !== holder) say(`address: ${nameOf(is.status, holder)}`);
    const wasPatients = this.#before.status.vip.holder === this.#patient;
    if (wasPatients && holder !== null && holder !== this.#patient) this.#addressMs ??= is.at;
  }

  #seenClients(was: Look, is: Look, say: (text: string) => void): void {
    if (was.clients !== is.clients) say(`clients of the address: ${is.clients}`);
    this.#fewest = Math.min(this.#fewest, is.clients);
    if (this.#fewest < this.#before.clients && is.clients >= this.#before.clients) this.#clientsMs ??= is.at;
  }
}

function isUpIn({ answered }: Look, node: string): boolean {
  return answered.includes(node);
}

function stateIn({ status }: Look, node: string): string {
  return status.members.find(({ id }) => id === node)?.state ?? "unknown";
}
