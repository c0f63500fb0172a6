/**
 * What there is to see of a server at one moment.
 *
 * An embedder looks at it in every turn, mostly at few of the fields. So it is an object of one shape, quick to make, and what grows with
 * the cluster is put together only for who looks at it.
 */

import { leaseFrom, quorumContactAt } from "./lease.ts";
import type { RaftStatus } from "./options.ts";
import type { Server } from "./server.ts";

export class ServerStatus implements RaftStatus {
  readonly role: RaftStatus["role"];
  readonly term: number;
  readonly leader: RaftStatus["leader"];
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly lastIndex: number;
  readonly configuration: RaftStatus["configuration"];
  readonly isSuspect: boolean;
  readonly isIncomplete: boolean;
  readonly isDiverged: boolean;
  readonly awaited: RaftStatus["awaited"];
  readonly rejectedMessages: number;
  readonly transferringTo: RaftStatus["transferringTo"];
  readonly quorumContactAt: number | undefined;
  readonly leaseUntil: number | undefined;
  readonly #server: Server;
  #followers: RaftStatus["followers"] | undefined;

  constructor(server: Server, now: number) {
    const { log } = server;
    this.role = server.role;
    this.term = server.term;
    this.leader = server.leader;
    this.commitIndex = log.commitIndex;
    this.lastApplied = log.lastApplied;
    this.lastIndex = log.lastIndex;
    this.configuration = log.configuration;
    this.isSuspect = server.isSuspect;
    this.isIncomplete = server.isIncomplete;
    this.isDiverged = server.isDiverged;
    this.awaited = server.leader === undefined ? server.awaited : [];
    this.rejectedMessages = server.rejectedMessages;
    this.transferringTo = server.transfer?.to;
    this.quorumContactAt = quorumContactAt(server, now);
    this.leaseUntil = leaseFrom(server, this.quorumContactAt);
    this.#server = server;
  }

  get followers(): RaftStatus["followers"] {
    this.#followers ??= new Map(
      [...this.#server.followers].map(([id, { matchIndex, lastHeardAt }]) => [
        id,
        { matchIndex, lastHeardAt },
      ]),
    );
    return this.#followers;
  }
}
