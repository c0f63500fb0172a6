/**
 * How a node comes to an open journal of its cluster: the one way in, for fresh nodes and for those that start again.
 *
 * A fresh node runs the bootstrap, which ends in founding or in adopting a cluster; the identity is written before the
 * node takes part. A member opens its journal, and as a sole voter whose disk lost something asks its peers first.
 *
 * Source: reference design, sections 1.3 and 1.10.
 */

import { type ClusterId, type NodeId, SkeinError } from "@skein/kernel";
import type { ControlFrame } from "../frames.ts";
import type { JournalOptions, OpenedJournal } from "../journal/journal.ts";
import type { CoordinatorPorts, Identity, PeerView } from "../options.ts";
import { needsRepair, Repair, type RepairAnswer } from "../replica/repair.ts";
import { foundReplica, openReplica, reopenReplica, setOldReplicaAside } from "../replica/replica-files.ts";
import { Bootstrap, type BootstrapEvent } from "./bootstrap.ts";
import { carryOutFork, type Fork, readFork } from "./fork.ts";
import { saveIdentity } from "./identity.ts";

export interface ArrivalPorts
  extends Pick<CoordinatorPorts, "clock" | "prng" | "random" | "disk" | "log" | "bootId"> {
  readonly send: (to: NodeId, frame: ControlFrame) => void;
  /** The node is a member with this journal. Called once. */
  readonly arrived: (opened: OpenedJournal) => void;
  /** The disk cannot be used. */
  readonly failed: (error: Error) => void;
}

export class Arrival {
  readonly #ports: ArrivalPorts;
  readonly #journalOptions: JournalOptions;
  #identity: Identity;
  #peers: readonly PeerView[] = [];
  /** Only while fresh. */
  #bootstrap: Bootstrap | undefined;
  /** Only while a sole voter asks its peers for what its disk lost. */
  #repair: Repair | undefined;
  #fork: Fork | undefined;
  #isStopped = false;

  constructor(identity: Identity, journalOptions: JournalOptions, ports: ArrivalPorts) {
    this.#identity = identity;
    this.#journalOptions = journalOptions;
    this.#ports = ports;
  }

  /** The cluster this node belongs to; undefined while it is fresh. */
  get cluster(): ClusterId | undefined {
    return this.#identity.cluster;
  }

  /** Opens the replica of a node with data (`arrived` may come before this returns), or begins the bootstrap. */
  start(): void {
    const { clock, prng } = this.#ports;
    const { node, cluster } = this.#identity;
    this.#guardDisk(() => {
      this.#fork = readFork(this.#ports.disk);
      if (cluster !== undefined && cluster === this.#fork?.parent) {
        this.#completeFork(this.#fork);
        return;
      }
      if (cluster !== undefined) {
        this.#repairOrArrive(reopenReplica(this.#ports, this.#journalOptions, this.#identity));
        return;
      }
      setOldReplicaAside(this.#ports);
      this.#bootstrap = new Bootstrap(node, prng, clock.monotonicMs());
      this.#step({ kind: "peers", peers: this.#peers });
    });
  }

  /** The last fork that this node has made; of its own cluster only if it names that. */
  get fork(): Fork | undefined {
    return this.#fork;
  }

  stop(): void {
    this.#isStopped = true;
    this.#repair?.stop();
  }

  /** Call it a few times a second. */
  tick(): void {
    this.#step({ kind: "wake" });
  }

  peersChanged(peers: readonly PeerView[]): void {
    this.#peers = peers;
    this.#step({ kind: "peers", peers });
    this.#repair?.peersChanged(peers, this.cluster);
  }

  /** The leader of `cluster` says that this node is in. False: it is in another one. */
  joined(cluster: ClusterId): boolean {
    this.#step({ kind: "joined", cluster });
    return this.cluster === undefined;
  }

  /** A peer's answer to a sole voter that repairs its journal. @throws {SkeinError} ERR_SKEIN_MALFORMED */
  repaired(from: NodeId, answer: RepairAnswer): void {
    this.#repair?.answered(from, answer);
  }

  #step(event: BootstrapEvent): void {
    const { clock, log, send } = this.#ports;
    if (this.#isStopped) return;
    for (const effect of this.#bootstrap?.step(event, clock.monotonicMs()) ?? []) {
      if (effect.kind === "sendJoin") {
        send(effect.to, { kind: "join", cluster: effect.cluster, joiner: this.#identity.node });
      } else if (effect.kind === "adopt") {
        log.info({ cluster: effect.cluster }, "joined a cluster");
        this.#becomeMember(effect.cluster, () =>
          this.#arrive(openReplica(this.#ports, this.#journalOptions)),
        );
      } else {
        this.#guardDisk(() => this.#found());
      }
    }
  }

  /** Its decision is on the disk: a crash on the way comes back to here. */
  #completeFork(fork: Fork): void {
    const { log } = this.#ports;
    log.warn(
      { cluster: fork.cluster, parent: fork.parent, ...fork.at },
      "the mesh is founded anew: a fork of the old one",
    );
    const opened = openReplica(this.#ports, this.#journalOptions);
    carryOutFork(opened, this.#identity.node, fork, (forked, error) => {
      if (this.#isStopped) return;
      if (error !== undefined) this.#ports.failed(error);
      else this.#becomeMember(fork.cluster, () => this.#arrive(forked));
    });
  }

  #found(): void {
    foundReplica(this.#ports, this.#identity, this.#journalOptions, (cluster, opened, error) => {
      if (this.#isStopped) return;
      if (error !== undefined) this.#ports.failed(error);
      else this.#becomeMember(cluster, () => this.#arrive(opened));
    });
  }

  /** Writes the identity with `cluster`, then goes on with `next`. */
  #becomeMember(cluster: ClusterId, next: () => void): void {
    const identity: Identity = { ...this.#identity, cluster };
    saveIdentity(this.#ports.disk, identity, (error) => {
      if (this.#isStopped) return;
      if (error !== undefined) return this.#ports.failed(error);
      this.#identity = identity;
      this.#bootstrap = undefined;
      this.#guardDisk(next);
    });
  }

  #repairOrArrive(opened: OpenedJournal): void {
    const { clock, log, send } = this.#ports;
    const { node, cluster } = this.#identity;
    if (cluster === undefined || !needsRepair(node, opened)) {
      this.#arrive(opened);
      return;
    }
    this.#repair = new Repair(node, opened, {
      clock,
      log,
      ask: (to, index, term) => send(to, { kind: "repair", cluster, index, term }),
      done: (repaired, error) => {
        this.#repair = undefined;
        if (repaired === undefined) this.#ports.failed(error ?? new Error("repair ended without a journal"));
        else this.#arrive(repaired);
      },
    });
    this.#repair.peersChanged(this.#peers, cluster);
  }

  #arrive(opened: OpenedJournal): void {
    this.#ports.arrived(opened);
  }

  #guardDisk(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error;
      this.#ports.failed(error);
    }
  }
}
