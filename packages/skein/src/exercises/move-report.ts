/**
 * What `skein test-failover` has measured, and whether that is well: from what was seen before, meanwhile and at the end.
 *
 * A pure function of the looks, so that every outcome can be tested without a mesh.
 */

import { type Look, nameOf, seconds } from "./mesh-watch.ts";

export interface MoveReport {
  readonly isWell: boolean;
  /** Why it is not; null: it is. */
  readonly problem: string | null;
  readonly address: string;
  readonly from: string;
  /** Null: the address did not come back. */
  readonly to: string | null;
  /** From the order to the moment at which the asked node knew the new holder. */
  readonly addressMs: number | null;
  readonly connectionsReset: number;
  readonly clientsBefore: number;
  readonly clientsBack: number;
  /** Until as many clients as before were connected; null: they were not. */
  readonly clientsMs: number | null;
  readonly retainedBefore: number;
  readonly retainedLost: number;
}

/** Puts a report together, look by look. */
export class MoveRecord {
  readonly #before: Look;
  readonly #connectionsReset: number;
  #last: Look;
  #taken: Look | undefined;
  #complete: Look | undefined;

  constructor(before: Look, connectionsReset: number) {
    this.#before = before;
    this.#connectionsReset = connectionsReset;
    this.#last = before;
  }

  /** Returns true when there is nothing more to wait for. */
  seen(look: Look): boolean {
    this.#last = look;
    const { holder } = look.status.vip;
    if (this.#taken === undefined && holder !== null && holder !== this.#before.status.vip.holder)
      this.#taken = look;
    if (this.#taken !== undefined && look.clients >= this.#before.clients) this.#complete ??= look;
    return this.#complete !== undefined;
  }

  /** How far it is, in a few words. */
  get progress(): string {
    const { status, clients, at } = this.#last;
    const place = this.#taken === undefined ? "nowhere yet" : `on ${nameOf(status, status.vip.holder)}`;
    return `${seconds(at)}: address ${place}, ${this.#back(clients)}/${this.#before.clients} clients back`;
  }

  get report(): MoveReport {
    const { status, clients } = this.#before;
    const retainedLost = Math.max(0, status.retained - this.#last.status.retained);
    const taken = this.#taken;
    const report = {
      address: status.vip.address ?? "",
      from: nameOf(status, status.vip.holder),
      to: taken === undefined ? null : nameOf(taken.status, taken.status.vip.holder),
      addressMs: taken?.at ?? null,
      connectionsReset: this.#connectionsReset,
      clientsBefore: clients,
      clientsBack: this.#back(this.#last.clients),
      clientsMs: this.#complete?.at ?? null,
      retainedBefore: status.retained,
      retainedLost,
    };
    const problem = problemOf(report);
    return { isWell: problem === null, problem, ...report };
  }

  /** Before the address has moved nobody is back: those that are still there have not gone yet. */
  #back(clients: number): number {
    return this.#taken === undefined ? 0 : Math.min(clients, this.#before.clients);
  }
}

function problemOf(report: Omit<MoveReport, "isWell" | "problem">): string | null {
  const { to, address, from, clientsMs, clientsBefore, clientsBack, retainedLost } = report;
  if (to === null)
    return `No other node took ${address}. Is it set (--vip) and permitted (CAP_NET_ADMIN) on all nodes? See: skein status on each, and the log of ${from}`;
  if (clientsMs === null)
    return `Only ${clientsBack} of ${clientsBefore} clients came back in time. Those that are missing may have a long keep-alive, or hold the address's old place in their network.`;
  if (retainedLost > 0)
    return `${retainedLost} retained messages are missing. If nobody deleted them meanwhile, please report this with the logs of all nodes.`;
  return null;
}

/** In one line. */
export function moveSentence(report: MoveReport): string {
  const { from, to, addressMs, connectionsReset, clientsBefore, clientsBack, clientsMs, retainedLost } =
    report;
  const move = `moving VIP ${from} -> ${to ?? "nobody"} ...`;
  if (to === null || addressMs === null) return `${move} the address did not come up`;
  const back = `${clientsBack}/${clientsBefore} clients back${clientsMs === null ? "" : ` after ${seconds(clientsMs)}`}`;
  return `${move} VIP up ${seconds(addressMs)}, ARP announced, ${connectionsReset} connections reset, ${back}, ${retainedLost} retained lost`;
}
