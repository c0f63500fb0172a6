/**
 * Looks for the mesh that a code belongs to, and joins it: at the addresses the operator gave, else at whatever announces on
 * the network that it has an invitation.
 *
 * One address at a time. A mesh that knows the code answers for good, be it "used" or "expired". One that does not is a
 * neighbour's, or the code is wrong: the others are tried, but no second node of that mesh, because each attempt counts there.
 * Meshes whose invitations are all closed are asked last: they can say why the code is of no use.
 */

import type { Clock, MulticastDns, Timer } from "@skein/kernel";
import { instancesIn, SERVICE_TYPE, type SeenInstance } from "../discovery/service-instance.ts";
import { askToJoin, type GuestPorts, type JoinOutcome } from "./guest.ts";

/** With nothing found for so long there is nothing to find. */
const SEARCH_MAX_MS = 10_000;
/** Others that have an invitation answer within this time of the first. */
const OTHERS_MAX_MS = 3000;
const QUERY_EVERY_MS = 1000;
const CANDIDATES_MAX = 32;

export interface JoinSearchOptions {
  /** Human name of this node. */
  readonly name: string;
  /** `host:port`; empty: search the network. */
  readonly peers: readonly string[];
  readonly timeMaxMs?: number;
}

export interface JoinSearchPorts extends GuestPorts {
  readonly clock: Clock;
  /** Undefined: the network is not searched. */
  readonly mdns: MulticastDns | undefined;
  /** What is being done now. */
  readonly trying: (address: string) => void;
}

export interface JoinResult {
  readonly outcome: JoinOutcome;
  /** `host:port` of the node that was asked last; empty: none was found. */
  readonly address: string;
}

interface Candidate {
  readonly address: string;
  /** The same for all nodes of a mesh, as far as is known. */
  readonly group: string;
  readonly isOpen: boolean;
}

/** What says most about what the operator should do comes first. */
const WEIGHT: Record<JoinOutcome["kind"], number> = {
  welcome: 6,
  refused: 5,
  wait: 4,
  wrongCode: 3,
  noInvitation: 2,
  unreachable: 1,
};

export class JoinSearch {
  readonly #options: JoinSearchOptions;
  readonly #ports: JoinSearchPorts;
  readonly #done: (result: JoinResult | undefined) => void;
  readonly #waiting: Candidate[] = [];
  readonly #seen = new Set<string>();
  readonly #refusing = new Set<string>();
  #best: JoinResult | undefined;
  #isTrying = false;
  #isOver = false;
  #endsMs = 0;
  #timer: Timer | undefined;

  /** `done` is called once; undefined: nothing was found. */
  constructor(
    options: JoinSearchOptions,
    ports: JoinSearchPorts,
    done: (result: JoinResult | undefined) => void,
  ) {
    this.#options = options;
    this.#ports = ports;
    this.#done = done;
  }

  start(): void {
    const { peers, timeMaxMs = SEARCH_MAX_MS } = this.#options;
    const { clock, mdns } = this.#ports;
    this.#endsMs = clock.monotonicMs() + timeMaxMs;
    for (const address of peers) this.#found({ address, group: address, isOpen: true });
    if (peers.length === 0)
      mdns?.start({
        queried: () => undefined,
        answered: (records, from) => {
          for (const instance of instancesIn(records, from)) this.#answered(instance);
        },
        failed: () => undefined,
      });
    this.#look();
  }

  #look(): void {
    this.#proceed();
    if (this.#isOver) return;
    if (this.#isSearching) this.#ports.mdns?.query([{ type: "PTR", name: SERVICE_TYPE }]);
    this.#timer = this.#ports.clock.after(QUERY_EVERY_MS, () => this.#look());
  }

  /** Tries who is waiting, or ends if there is nobody and nobody will come. */
  #proceed(): void {
    if (this.#isTrying) return;
    const isLate = !this.#isSearching || this.#ports.clock.monotonicMs() >= this.#endsMs;
    if (this.#hasOpen || (isLate && this.#waiting.length > 0)) this.#next();
    else if (isLate) this.#finish(this.#best);
  }

  get #isSearching(): boolean {
    return this.#options.peers.length === 0 && this.#ports.mdns !== undefined;
  }

  #answered({ addresses, cluster, node, invitation, isLeaving }: SeenInstance): void {
    if (invitation === undefined || isLeaving) return;
    for (const address of addresses)
      this.#found({ address, group: cluster ?? node, isOpen: invitation === "open" });
  }

  #found(candidate: Candidate): void {
    const { address, isOpen } = candidate;
    const name = `${address} ${isOpen}`;
    if (this.#isOver || this.#seen.has(name) || this.#seen.size >= CANDIDATES_MAX) return;
    this.#seen.add(name);
    this.#waiting.push(candidate);
    // Whoever has closed ones only may be known by an open one in a moment.
    if (isOpen) this.#next();
    else this.#endSoon();
  }

  get #hasOpen(): boolean {
    return this.#waiting.some(({ isOpen }) => isOpen);
  }

  /** Tries the next address, one with an open invitation if there is one. */
  #next(): void {
    if (this.#isTrying || this.#isOver) return;
    const open = this.#waiting.findIndex(({ isOpen }) => isOpen);
    const [candidate] = this.#waiting.splice(Math.max(0, open), 1);
    if (candidate === undefined) return;
    if (this.#refusing.has(candidate.group)) {
      this.#proceed();
      return;
    }
    this.#isTrying = true;
    const { address, group } = candidate;
    this.#ports.trying(address);
    askToJoin(address, this.#options.name, this.#ports, (outcome) => {
      this.#isTrying = false;
      if (outcome.kind !== "unreachable") this.#refusing.add(group);
      if (this.#best === undefined || WEIGHT[outcome.kind] >= WEIGHT[this.#best.outcome.kind])
        this.#best = { outcome, address };
      if (outcome.kind === "welcome" || outcome.kind === "refused") {
        this.#finish(this.#best);
        return;
      }
      this.#endSoon();
      this.#proceed();
    });
  }

  #endSoon(): void {
    this.#endsMs = Math.min(this.#endsMs, this.#ports.clock.monotonicMs() + OTHERS_MAX_MS);
  }

  #finish(result: JoinResult | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    if (this.#options.peers.length === 0) this.#ports.mdns?.stop();
    this.#done(result);
  }
}
