/**
 * Puts one node together: the only place that knows all its parts.
 *
 * Each layer gets the others as ports: the broker forwards through the mesh and keeps retained messages in the coordinator,
 * the mesh delivers into the broker and hands control frames to the coordinator, the coordinator sends over the mesh.
 * Start: data, links, replica; clients come last (readiness.ts). Stop: the other way round, each step bounded in time,
 * because a supervisor kills what takes too long.
 */

import { Broker, DEFAULT_BROKER_OPTIONS } from "@skein/broker";
import { Coordinator, FloatingAddress, type Identity, loadIdentity } from "@skein/coordinator";
import { type Clock, type SkeinError, type StreamListener, seededPrng } from "@skein/kernel";
import { type Member, Mesh } from "@skein/mesh";
import {
  type DataDirectory,
  multicastDns,
  openDataDirectory,
  systemBootId,
  systemClock,
  systemProcesses,
  systemRandom,
  tlsPskTransport,
} from "@skein/platform";
import { type AdminApi, openAdminApi } from "./admin-api.ts";
import { formatHostPort } from "./config/addresses.ts";
import type { NodeConfig } from "./config/load-config.ts";
import { loadMeshKey } from "./config/mesh-key.ts";
import { checkListeners, openListeners } from "./listeners.ts";
import { type NodeStatus, nodeStatus } from "./node-status.ts";
import type { NodeLog } from "./pino-log.ts";
import { Readiness } from "./readiness.ts";

/** A node that has been started. */
export interface RunningNode {
  /** Settles when clients are let in. */
  readonly serving: Promise<void>;
  /** Settles when the node can no longer run and must be stopped, with the reason. */
  readonly failed: Promise<Error>;
  status(): NodeStatus;
  /** Leaves the mesh and closes everything. Takes at most a few seconds. */
  stop(): Promise<void>;
}

/** Keep-alive, will delays, expiry: the broker looks at its clock this often. */
const BROKER_TICK_MS = 250;
/** Client counts change all the time; others see ours at most this often. */
const FACTS_INTERVAL_MS = 1000;
/** One step of stopping may take this long before the next begins. */
const STOP_STEP_MAX_MS = 2000;

/**
 * Starts a node. Resolves when its links and its API are open; clients are let in a little later (`serving`).
 *
 * @throws {SkeinError} for what the operator must fix: bad key, port in use, unusable data directory, second node in it.
 */
export async function startNode(config: NodeConfig, log: NodeLog): Promise<RunningNode> {
  await checkListeners(config.listeners);
  const data = openDataDirectory(config.dataDirectory);
  let node: Node | undefined;
  try {
    const key = loadMeshKey(config.meshKey, config.dataDirectory, systemRandom);
    if (key.createdIn !== undefined) {
      log.info(
        { file: key.createdIn },
        "made a new mesh key; copy this file to the other nodes and start them with --mesh-key @FILE",
      );
    }
    node = new Node(config, log, data, key.bytes);
    await node.start();
    return node;
  } catch (error) {
    if (node === undefined) data.close();
    else await node.stop();
    throw error;
  }
}

class Node implements RunningNode {
  readonly serving: Promise<void>;
  readonly failed: Promise<Error>;
  readonly #config: NodeConfig;
  readonly #log: NodeLog;
  readonly #clock: Clock = systemClock();
  readonly #data: DataDirectory;
  readonly #identity: Identity;
  readonly #broker: Broker;
  readonly #mesh: Mesh;
  readonly #coordinator: Coordinator;
  readonly #floatingAddress: FloatingAddress | undefined;
  readonly #readiness: Readiness;
  #admin: AdminApi | undefined;
  #listeners: readonly StreamListener[] = [];
  #isServing = false;
  #isStopping = false;
  #factsSentAt = Number.NEGATIVE_INFINITY;
  #factsSent = "";
  #heldAddress = false;
  #setServing: () => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;
  #meshReady: (error: SkeinError | undefined) => void = () => undefined;

  constructor(config: NodeConfig, log: NodeLog, data: DataDirectory, key: Uint8Array) {
    this.#config = config;
    this.#log = log;
    this.#data = data;
    this.serving = new Promise((resolve) => {
      this.#setServing = resolve;
    });
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#identity = loadIdentity(data, systemRandom, log.component("identity"));
    this.#coordinator = this.#makeCoordinator();
    this.#mesh = this.#makeMesh(key);
    this.#broker = this.#makeBroker();
    this.#floatingAddress = this.#makeFloatingAddress();
    const { retained } = this.#coordinator;
    this.#readiness = new Readiness(this.#clock, retained, () => this.#coordinator.status);
  }

  async start(): Promise<void> {
    const { name, http, dataDirectory, configFile } = this.#config;
    const meshReady = new Promise<SkeinError | undefined>((resolve) => {
      this.#meshReady = resolve;
    });
    this.#coordinator.start();
    this.#mesh.start();
    const error = await meshReady;
    if (error !== undefined) throw error;
    this.#sendFacts();
    this.#admin = await openAdminApi(http, {
      status: () => this.status(),
      isServing: () => this.#isServing,
      retained: this.#coordinator.retained,
    });
    this.#floatingAddress?.start();
    this.#tick();
    this.#log.info(
      {
        node: this.#identity.node,
        name,
        mesh: this.#config.mesh,
        dataDirectory,
        ...(configFile === undefined ? {} : { configFile }),
        link: formatHostPort({ host: this.#config.link.host, port: this.#mesh.linkPort }),
        http: formatHostPort({ host: http.host, port: this.#admin.port }),
      },
      "node started",
    );
    void this.#serveWhenReady();
  }

  status(): NodeStatus {
    const address = this.#config.floatingAddress?.address;
    const floating = this.#floatingAddress;
    return nodeStatus({
      mesh: this.#config.mesh,
      node: this.#identity.node,
      name: this.#config.name,
      isServing: this.#isServing,
      isStopping: this.#isStopping,
      coordinator: this.#coordinator.status,
      members: this.#mesh.members,
      floatingAddress:
        address === undefined || floating === undefined
          ? undefined
          : { address, isHeld: floating.isHeld, problem: floating.problem },
      clients: this.#broker.clientCount,
      retained: this.#coordinator.retained.count,
    });
  }

  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#isServing = false;
    this.#readiness.stop();
    for (const listener of this.#listeners) listener.close();
    // The address goes first: clients on it are reset and find the next holder while this node is still packing.
    const floating = this.#floatingAddress;
    if (floating !== undefined) await this.#bounded((done) => floating.stop(done));
    this.#broker.shutdown();
    // Before the links close: leadership is handed over on them.
    await this.#bounded((done) => this.#coordinator.stop(done));
    await this.#bounded((done) => this.#mesh.stop(done));
    this.#admin?.close();
    this.#data.close();
  }

  async #serveWhenReady(): Promise<void> {
    const reason = await this.#readiness.reached;
    if (this.#isStopping) return;
    if (reason !== "current")
      this.#log.warn({ reason }, "not up to date, but serving clients with what this node has");
    try {
      const listeners = await openListeners(this.#config.listeners, this.#broker);
      if (this.#isStopping) {
        for (const listener of listeners) listener.close();
        return;
      }
      this.#listeners = listeners;
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#isServing = true;
    const urls = this.#config.listeners.map(({ protocol, host }, at) => {
      return `${protocol}://${formatHostPort({ host, port: this.#listeners[at]?.port ?? 0 })}`;
    });
    this.#log.info({ listen: urls }, "clients are welcome");
    this.#setServing();
  }

  #makeCoordinator(): Coordinator {
    const { mesh, timing, durability } = this.#config;
    return new Coordinator(
      { identity: this.#identity, mesh, timing, durability },
      {
        clock: this.#clock,
        prng: this.#prng(),
        random: systemRandom,
        disk: this.#data,
        log: this.#log.component("coordinator"),
        bootId: systemBootId(),
        send: (to, bytes) => this.#mesh.sendControl(to, bytes),
        statusChanged: () => {
          this.#sendFacts();
          this.#updateLease();
        },
        giveUpLease: (released) => {
          this.#floatingAddress?.update({ isLeader: false, quorumContactAt: undefined });
          released();
        },
        fatal: (error) => this.#fail(error),
      },
    );
  }

  #makeMesh(key: Uint8Array): Mesh {
    const { name, mesh, link, peers, floatingAddress } = this.#config;
    const log = this.#log.component("mesh");
    return new Mesh(
      {
        node: this.#identity.node,
        incarnation: this.#identity.incarnation,
        mesh,
        name,
        linkListen: formatHostPort(link),
        peers,
        excludedAddresses: floatingAddress === undefined ? [] : [floatingAddress.address],
      },
      {
        clock: this.#clock,
        prng: this.#prng(),
        transport: tlsPskTransport({ key, identity: this.#identity.node }),
        mdns: this.#config.isMdnsEnabled ? multicastDns({ log }) : undefined,
        disk: this.#data,
        log,
        delivery: {
          deliver: (message) => this.#broker.deliver(message),
          deliverShared: (sharedFilter, message) => this.#broker.deliverShared(sharedFilter, message),
        },
        receiveControl: (from, bytes) => this.#coordinator.receive(from, bytes),
        membersChanged: (members) => this.#coordinator.membersChanged(this.#peersIn(members)),
        ready: (error) => this.#meshReady(error),
      },
    );
  }

  #makeBroker(): Broker {
    return new Broker(
      { ...DEFAULT_BROKER_OPTIONS, floatingAddress: this.#config.floatingAddress?.address },
      {
        forwarder: this.#mesh,
        interest: this.#mesh,
        retained: this.#coordinator.retained,
        log: this.#log.component("broker"),
        prng: this.#prng(),
        clock: this.#clock,
      },
    );
  }

  #makeFloatingAddress(): FloatingAddress | undefined {
    const options = this.#config.floatingAddress;
    if (options === undefined) return undefined;
    return new FloatingAddress(options, {
      clock: this.#clock,
      process: systemProcesses(),
      log: this.#log.component("address"),
      resetClients: (address) => this.#broker.resetClientsOn(address),
    });
  }

  #tick(): void {
    if (this.#isStopping) return;
    this.#broker.tick(this.#clock.monotonicMs());
    this.#updateLease();
    if (this.#clock.monotonicMs() - this.#factsSentAt >= FACTS_INTERVAL_MS) this.#sendFacts();
    this.#clock.after(BROKER_TICK_MS, () => this.#tick());
  }

  #updateLease(): void {
    const { role, quorumContactAt } = this.#coordinator.status;
    this.#floatingAddress?.update({ isLeader: role === "leader", quorumContactAt });
    const isHeld = this.#floatingAddress?.isHeld ?? false;
    if (isHeld === this.#heldAddress) return;
    this.#heldAddress = isHeld;
    this.#sendFacts();
  }

  /** Tells the other nodes about this one, if there is anything new. */
  #sendFacts(): void {
    const { cluster, role } = this.#coordinator.status;
    const holdsAddress = this.#floatingAddress?.isHeld ?? false;
    const facts = { name: this.#config.name, cluster, role, clients: this.#broker.clientCount, holdsAddress };
    const text = JSON.stringify(facts);
    this.#factsSentAt = this.#clock.monotonicMs();
    if (text === this.#factsSent) return;
    this.#factsSent = text;
    this.#mesh.setFacts(facts);
  }

  #peersIn(members: readonly Member[]): readonly Member[] {
    return members.filter(({ id }) => id !== this.#identity.node);
  }

  /** Each consumer gets its own sequence, so that one's choices do not disturb another's. */
  #prng() {
    const [a = 0, b = 0, c = 0, d = 0] = systemRandom.bytes(4);
    return seededPrng((a << 24) | (b << 16) | (c << 8) | d);
  }

  /** Carries out one step of stopping, but does not wait longer for it than is reasonable. */
  #bounded(step: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(STOP_STEP_MAX_MS, resolve);
      step(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}
