/**
 * One node put together from its layers, without the operating system: everything outside comes in as a port.
 *
 * Each layer gets the others as ports: the broker forwards through the mesh and keeps retained messages in the coordinator,
 * the mesh delivers into the broker and hands control frames to the coordinator, the coordinator sends over the mesh.
 * compose.ts plugs in sockets and files and makes a program of it; the simulator (@skein/testkit) plugs in a simulated world,
 * so that what is tested there is what ships. No promises: the simulator must see every step.
 */

import { Broker, type BrokerPorts, DEFAULT_BROKER_OPTIONS } from "@skein/broker";
import {
  Coordinator,
  type CoordinatorStatus,
  type FloatingAddress,
  type Identity,
  loadIdentity,
} from "@skein/coordinator";
import { type Prng, seededPrng, untilNext } from "@skein/kernel";
import { Mesh, SPOKEN_VERSIONS } from "@skein/mesh";
import type { AssemblyOptions, AssemblyPorts, HostFacts } from "./assembly-ports.ts";
import { serverReference } from "./balancing/server-reference.ts";
import { type ClientEntrance, clientEntrance } from "./client-entrance.ts";
import { REQUEST_FRAME } from "./exercises/node-requests.ts";
import { NodeWatch } from "./node-watch.ts";
import { copySentence, goOnAfterCopy, homeOf, nameOf } from "./own-identity.ts";
import { hasLinks, Readiness, type ReadyReason } from "./readiness.ts";
import { meshTopics } from "./status/mesh-topics.ts";

export type { AssemblyOptions } from "./assembly-ports.ts";

/** Keep-alive, will delays, expiry: the broker looks at its clock this often. */
const BROKER_TICK_MS = 250;
/** Events, reports and notes are for people. */
const WATCH_TICK_MS = 1000;
/** Client counts change all the time; others see ours at most this often. */
const FACTS_INTERVAL_MS = 1000;
/** What the machine is like changes rarely, and asking for it reads files. */
const HOST_KEPT_MS = 5000;
/** One step of stopping may take this long before the next begins. */
const STOP_STEP_MAX_MS = 2000;

export class NodeAssembly {
  readonly identity: Identity;
  /** The human name as given, unless that is the name of the node whose copy this was. */
  readonly name: string;
  readonly broker: Broker;
  readonly mesh: Mesh;
  readonly coordinator: Coordinator;
  readonly floatingAddress: FloatingAddress | undefined;
  /** Status, fail-over log, reports of the others. */
  readonly watch: NodeWatch;
  readonly #entrance: ClientEntrance["entrance"];
  readonly #options: AssemblyOptions;
  readonly #ports: AssemblyPorts;
  readonly #readiness: Readiness;
  #hasBegun = false;
  #readyReason: ReadyReason | undefined;
  #isServing = false;
  #isStopping = false;
  #hasParted = false;
  #watchAt = 0;
  #factsSentAt = Number.NEGATIVE_INFINITY;
  /** Asking the system for them costs more than all else in a turn: once in FACTS_INTERVAL_MS. */
  #hostFacts: HostFacts | undefined;
  #hostFactsAt = 0;
  #heldAddress = false;

  /** @throws {SkeinError} ERR_SKEIN_DISK if the node's identity can be neither read nor written */
  constructor(options: AssemblyOptions, ports: AssemblyPorts) {
    this.#options = options;
    this.#ports = ports;
    this.identity = loadIdentity(ports.disk, ports.random, ports.log("identity"), ports.hardware);
    this.name = nameOf(options.name, this.identity);
    const copied = copySentence(this.name, this.identity);
    if (copied !== undefined) ports.log("identity").warn({ node: this.identity.node }, copied);
    this.coordinator = this.#makeCoordinator();
    this.mesh = this.#makeMesh();
    this.broker = this.#makeBroker();
    ({ entrance: this.#entrance, floatingAddress: this.floatingAddress } = this.#makeEntrance());
    this.watch = this.#makeWatch();
    this.#readiness = new Readiness(
      ports.clock,
      this.coordinator.retained,
      () => this.coordinator.status,
      () => hasLinks(this.mesh.members, this.coordinator.status, this.identity.node),
      (reason) => {
        this.#readyReason = reason;
        this.#letClientsIn();
      },
    );
  }

  /** Clients are let in. */
  get isServing(): boolean {
    return this.#isServing;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Its clients have been sent away, because it is about to leave its mesh. */
  get hasParted(): boolean {
    return this.#hasParted;
  }

  /** Opens replica and links; `linksOpen` tells how that went. */
  start(): void {
    this.coordinator.start();
    this.mesh.start();
  }

  /** Links are open: takes part in everything. */
  begin(): void {
    this.#sendFacts();
    this.floatingAddress?.start();
    this.#tick();
    this.#hasBegun = true;
    this.#letClientsIn();
  }

  /** The listeners are open. */
  clientsWelcome(): void {
    this.#isServing = true;
    // Their ports are known now.
    this.#hostFacts = undefined;
  }

  /** Lets no new client in; the first step of stopping. False: it is stopping already. */
  beginStop(): boolean {
    if (this.#isStopping) return false;
    this.#isStopping = true;
    this.#isServing = false;
    this.#readiness.stop();
    this.watch.stop();
    return true;
  }

  /** After {@link beginStop}: leaves the mesh and closes everything, each step bounded in time, then calls `done`. */
  finishStop(done: () => void): void {
    const closeRest = (): void => {
      this.broker.shutdown(this.#serverReference());
      // Before the links close: leadership is handed over on them.
      this.#bounded(
        (next) => this.coordinator.stop(next),
        () => this.#bounded((next) => this.mesh.stop(next), done),
      );
    };
    // The address goes first: clients on it are reset and find the next holder while this node is still packing.
    this.#bounded((next) => this.#entrance.stop(next), closeRest);
  }

  #makeCoordinator(): Coordinator {
    const { clock, random, disk, bootId, log, failed, startAgain, observer } = this.#ports;
    const { mesh, timing, durability, onQuorumLoss = "outbox", sizes = {}, owedBytesMax } = this.#options;
    const protocolVersion = (this.#options.protocolVersions ?? SPOKEN_VERSIONS).newest;
    return new Coordinator(
      {
        identity: this.identity,
        mesh,
        timing,
        durability,
        onQuorumLoss,
        owedBytesMax,
        sizes,
        protocolVersion,
      },
      {
        clock,
        prng: this.#prng(),
        random,
        disk,
        bootId,
        log: log("coordinator"),
        send: (to, bytes) => this.mesh.sendControl(to, bytes),
        statusChanged: (status) => this.#statusChanged(status),
        quorumAnswered: (status) => {
          this.#entrance.quorumAnswered(status);
          this.#noteHolder();
        },
        giveUpLease: (released) => {
          this.#entrance.giveUp();
          released();
        },
        parting: (isParting) => this.#part(isParting),
        fatal: failed,
        startAgain,
        merged: (news) => this.watch.merged(news),
        outdated: (news) => this.watch.outdated(news),
        publishFromLog: ({ message, publisher, dealt }, isFirstHand) =>
          this.broker.deliverFromLog(message, publisher, isFirstHand, dealt),
        messageRefused: () => this.broker.countRefused(),
        publishEarly: (message, publisher, name, isForEverybody, onlyFor) =>
          this.broker.deliverEarly(message, publisher, name, isForEverybody, onlyFor),
        observer,
      },
    );
  }

  #makeMesh(): Mesh {
    const { mesh, linkListen, peers, floatingAddress, protocolVersions } = this.#options;
    const { clock, disk, log, mdns, transport, joining, linksOpen } = this.#ports;
    const { node, incarnation } = this.identity;
    const excludedAddresses = floatingAddress === undefined ? [] : [floatingAddress.address];
    return new Mesh(
      {
        node,
        incarnation,
        mesh,
        name: this.name,
        linkListen,
        peers,
        excludedAddresses,
        protocolVersions,
        home: homeOf(this.identity),
      },
      {
        clock,
        prng: this.#prng(),
        transport: transport(node),
        joining,
        mdns,
        disk,
        log: log("mesh"),
        delivery: {
          deliver: (message) => this.broker.deliver(message),
          deliverPackets: (packets) => this.broker.deliverPackets(packets),
          deliverShared: (sharedFilter, message) => this.broker.deliverShared(sharedFilter, message),
          unserved: (sharedFilter, message, done) => this.broker.unserved(sharedFilter, message, done),
        },
        receiveControl: (from, bytes) => {
          if (bytes[0] === REQUEST_FRAME) this.#ports.receiveRequest?.(from, bytes);
          else if (!this.watch.receive(from, bytes)) this.coordinator.receive(from, bytes);
        },
        receiveAddress: (from, bytes) => void this.#entrance.receive(from, bytes),
        membersChanged: (members) => {
          this.#entrance.peersChanged(members);
          this.coordinator.membersChanged(members);
          this.watch.observe();
          this.#readiness.membersChanged();
          this.#ports.passedClients?.membersChanged(members);
        },
        identityTaken: ({ name: other }) => {
          const reason = `this node has the identity of ${other}, which keeps it (cloned SD card?)`;
          this.coordinator.ending.startAnew(reason, this.#options.name);
        },
        identityOutrun: (by) => goOnAfterCopy(this, this.#options.name, by),
        ready: linksOpen,
      },
    );
  }

  #makeBroker(): Broker {
    const { clock, log, vitals, authenticator } = this.#ports;
    const ports: BrokerPorts = {
      forwarder: this.mesh,
      interest: this.mesh,
      retained: this.coordinator.retained,
      sessions: this.coordinator.sessions,
      log: log("broker"),
      prng: this.#prng(),
      clock,
      authenticator,
      takenOver: (clientId, from, by) => this.watch.takenOver(clientId, from, by),
      node: {
        version: vitals?.().version ?? "",
        builtAt: vitals?.().builtAt,
        memoryBytes: () => vitals?.().memoryBytes ?? 0,
        visit: (visit) => meshTopics(this.watch.status(), visit),
      },
    };
    const floatingAddress = this.#options.floatingAddress?.address;
    return new Broker({ ...DEFAULT_BROKER_OPTIONS, floatingAddress, ...this.#options.limits }, ports);
  }

  #makeEntrance(): ClientEntrance {
    const ports = { ...this.#ports, host: () => this.#host() };
    return clientEntrance({ ...this.#options, node: this.identity.node }, ports, {
      broker: this.broker,
      mesh: this.mesh,
      contact: this.coordinator.contact,
      isServing: () => this.#isServing,
      resetClients: (which) => {
        this.broker.resetClientsOn(which, this.#serverReference());
        this.#ports.passedClients?.resetPassed();
      },
    });
  }

  #makeWatch(): NodeWatch {
    const { clock, disk, log, vitals = () => ({ version: "", memoryBytes: 0 }) } = this.#ports;
    const { mesh, timing, floatingAddress, peers } = this.#options;
    const options = { name: this.name, mesh, timing, peers, address: floatingAddress?.address };
    return new NodeWatch(this, options, { clock, disk, log: log("watch"), vitals });
  }

  #serverReference(): string | undefined {
    if (this.#options.isRedirecting !== true) return undefined;
    return serverReference(this.mesh.members, this.identity.node);
  }

  /** A node that votes alone may be ready before its links are open. */
  #letClientsIn(): void {
    if (this.#hasBegun && !this.#isStopping && !this.#hasParted && this.#readyReason !== undefined)
      this.#ports.ready(this.#readyReason);
  }

  /** Nobody comes in any more before those that are here are told to go: they would be back at once. */
  #part(isParting: boolean): void {
    this.#hasParted = isParting;
    if (isParting) {
      this.#isServing = false;
      this.#ports.clientsLeave();
      this.broker.sendAway(this.#serverReference());
    } else this.#letClientsIn();
  }

  #tick(): void {
    if (this.#isStopping) return;
    const { clock } = this.#ports;
    this.broker.tick(clock.monotonicMs());
    this.#updateEntrance(this.coordinator.status);
    if (clock.monotonicMs() - this.#factsSentAt >= FACTS_INTERVAL_MS) {
      this.#factsSentAt = clock.monotonicMs();
      this.#sendFacts();
    }
    if (clock.monotonicMs() >= this.#watchAt) {
      this.#watchAt = clock.monotonicMs() + untilNext(clock, WATCH_TICK_MS);
      this.watch.tick();
    }
    clock.after(untilNext(clock, BROKER_TICK_MS), () => this.#tick());
  }

  #statusChanged(status: CoordinatorStatus): void {
    const { cluster, voters, learners } = status;
    // A replica that has just been opened may not know yet who takes part.
    if (cluster !== undefined && voters.length > 0) this.mesh.setConfigured([...voters, ...learners]);
    this.#sendFacts();
    this.#updateEntrance(status);
    this.watch.observe();
  }

  #updateEntrance(status: CoordinatorStatus): void {
    this.#entrance.update(status);
    this.#noteHolder();
  }

  /** Whether this node holds the address may have changed. */
  #noteHolder(): void {
    const isHeld = this.floatingAddress?.isHeld ?? false;
    if (isHeld === this.#heldAddress) return;
    this.#heldAddress = isHeld;
    this.#sendFacts();
  }

  /** Tells the other nodes about this one; the mesh says only what is new. */
  #sendFacts(): void {
    const { cluster, role } = this.coordinator.status;
    this.mesh.setFacts({
      name: this.name,
      cluster,
      role,
      clients: this.broker.clientCount,
      holdsAddress: this.floatingAddress?.isHeld ?? false,
      flushP99Ms: this.coordinator.replicaHealth.flushP99Ms,
      ...this.#host(),
    });
  }

  #host(): HostFacts {
    const now = this.#ports.clock.monotonicMs();
    if (this.#hostFacts === undefined || now - this.#hostFactsAt >= HOST_KEPT_MS) {
      this.#hostFacts = this.#ports.host();
      this.#hostFactsAt = now;
    }
    return this.#hostFacts;
  }

  /** Each consumer gets its own sequence, so that one's choices do not disturb another's. */
  #prng(): Prng {
    const [a = 0, b = 0, c = 0, d = 0] = this.#ports.random.bytes(4);
    return seededPrng((a << 24) | (b << 16) | (c << 8) | d);
  }

  /** Carries out one step of stopping, but does not wait longer for it than is reasonable. */
  #bounded(step: (done: () => void) => void, then: () => void): void {
    let isOver = false;
    const finish = (): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      then();
    };
    const timer = this.#ports.clock.after(STOP_STEP_MAX_MS, finish);
    step(finish);
  }
}
