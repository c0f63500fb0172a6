/**
 * Makes a program of a node (assembly.ts): plugs in sockets, files, time and programs of the operating system.
 *
 * Start: data, links, replica; clients come last (readiness.ts). Stop: the other way round, each step bounded in time,
 * because a supervisor kills what takes too long.
 */

import { LogThrottle, type NodeId, type SkeinError, type StreamListener } from "@skein/kernel";
import {
  type DataDirectory,
  isWiredAddress,
  isWiredInterface,
  multicastDns,
  openDataDirectory,
  systemBootId,
  systemClock,
  systemHardware,
  systemMachineName,
  systemNetwork,
  systemProcesses,
  systemRandom,
  tlsPskTransport,
} from "@skein/platform";
import { shownConflict } from "./admin/merge-routes.ts";
import type { NodeActions } from "./admin/node-actions.ts";
import { type AdminApi, openAdminApi } from "./admin/server.ts";
import { NodeAssembly } from "./assembly.ts";
import type { HostFacts } from "./assembly-ports.ts";
import { ClientBalancing } from "./balancing/client-balancing.ts";
import { BUILT_AT, VERSION } from "./cli/version.ts";
import { formatHostPort, isLoopback } from "./config/addresses.ts";
import { isPlainForOthers, type ListenerConfig, listenerName } from "./config/listener-config.ts";
import type { NodeConfig } from "./config/load-config.ts";
import { loadMeshKey } from "./config/mesh-key.ts";
import type { Exercises } from "./exercises/exercises.ts";
import { MeshSwitch } from "./exercises/mesh-switch.ts";
import { nodeExercises } from "./exercises/node-exercises.ts";
import { type InviterNode, inviter } from "./joining/inviter.ts";
import { saltOf } from "./joining/stretch.ts";
import { encodeWelcomeDocument } from "./joining/welcome-document.ts";
import { ListenerCertificates } from "./listener-certificates.ts";
import { checkListeners, openListeners } from "./listeners.ts";
import { rosterOf } from "./membership/roster.ts";
import { settled } from "./membership/settled.ts";
import type { NodeStatus } from "./node-status.ts";
import type { NodeLog } from "./pino-log.ts";
import type { ReadyReason } from "./readiness.ts";
import { storeRoom } from "./store-room.ts";
import { ScramUsers } from "./users/scram-users.ts";

/** A node that has been started. It may become another one meanwhile (Coordinator.startAnew), in the same process. */
export interface RunningNode {
  /** Settles when clients are let in. */
  readonly serving: Promise<void>;
  /** Settles when the node can no longer run and must be stopped, with the reason. */
  readonly failed: Promise<Error>;
  /** Settles when this node has left its mesh and must be stopped; it must not come back by itself. */
  readonly left: Promise<"left">;
  status(): NodeStatus;
  /** Reads users, certificates and keys again; files that cannot be used leave what was there in its place. */
  reload(): void;
  /** Becomes a new node, which joins or founds as any fresh one; its clients are reset. */
  startAnew(reason: string): void;
  /** Leaves the mesh and closes everything. Takes at most a few seconds. */
  stop(): Promise<void>;
}

/**
 * Starts a node. Resolves when its links and its API are open; clients are let in a little later (`serving`).
 *
 * @throws {SkeinError} for what the operator must fix: bad key, port in use, unusable data directory, second node in it.
 */
export async function startNode(config: NodeConfig, log: NodeLog): Promise<RunningNode> {
  const certificates = new ListenerCertificates(config.listeners, log.component("broker"));
  await checkListeners(config.listeners, certificates);
  const data = openDataDirectory(config.dataDirectory);
  let node: Node | undefined;
  try {
    const key = loadMeshKey(config.meshKey, config.dataDirectory, systemRandom);
    if (key.createdIn !== undefined) {
      log.info(
        { file: key.createdIn },
        "made a new mesh key; to add another device, run here: skein invite, and there: skein up --join CODE",
      );
    }
    node = new Node(config, log, data, key.bytes, certificates);
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
  readonly left: Promise<"left">;
  readonly #config: NodeConfig;
  readonly #log: NodeLog;
  readonly #data: DataDirectory;
  readonly #key: Uint8Array;
  readonly #certificates: ListenerCertificates;
  readonly #users: ScramUsers | undefined;
  readonly #clock = systemClock();
  readonly #machine = systemMachineName();
  readonly #switch = new MeshSwitch(this.#clock);
  readonly #exercises: Exercises;
  /** The node as it is now. */
  #assembly: NodeAssembly;
  #balancing: ClientBalancing | undefined;
  #isStopping = false;
  /** Settles when this node has become another one, if it is about to. */
  #rebirth: Promise<void> = Promise.resolve();
  #admin: AdminApi | undefined;
  #listeners: readonly StreamListener[] = [];
  #setServing: () => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;
  #setLeft: () => void = () => undefined;
  #linksOpen: (error: SkeinError | undefined) => void = () => undefined;

  constructor(
    config: NodeConfig,
    log: NodeLog,
    data: DataDirectory,
    key: Uint8Array,
    certificates: ListenerCertificates,
  ) {
    this.#config = config;
    this.#log = log;
    this.#data = data;
    this.#key = key;
    this.#certificates = certificates;
    if (config.scramUsers !== undefined)
      this.#users = new ScramUsers(config.scramUsers, log.component("broker"));
    this.serving = new Promise((resolve) => {
      this.#setServing = resolve;
    });
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.left = new Promise((resolve) => {
      this.#setLeft = () => resolve("left");
    });
    this.#exercises = this.#makeExercises();
    this.#assembly = this.#assemble(config.link.port);
  }

  async start(): Promise<void> {
    const { http, httpActions, dataDirectory, configFile } = this.#config;
    this.#admin = await openAdminApi({ address: http, httpActions }, this.#actions());
    await this.#openLinks();
    const assembly = this.#assembly;
    assembly.begin();
    this.#log.info(
      {
        node: assembly.identity.node,
        name: assembly.name,
        mesh: this.#config.mesh,
        dataDirectory,
        ...(configFile === undefined ? {} : { configFile }),
        link: formatHostPort({ host: this.#config.link.host, port: assembly.mesh.linkPort }),
        http: formatHostPort({ host: http.host, port: this.#admin.port }),
      },
      "node started",
    );
  }

  /** To begin in the same turn: what comes over a link may ask to start again. @throws {SkeinError} ERR_SKEIN_LISTEN, ERR_SKEIN_PORT_IN_USE */
  async #openLinks(): Promise<void> {
    const linksOpen = new Promise<SkeinError | undefined>((resolve) => {
      this.#linksOpen = resolve;
    });
    this.#assembly.start();
    const error = await linksOpen;
    if (error !== undefined) throw error;
  }

  reload(): void {
    this.#certificates.reload();
    this.#users?.reload();
  }

  startAnew(reason: string): void {
    this.#assembly.coordinator.ending.startAnew(reason);
  }

  /** Builds the node anew from its data directory, on the same ports. The admin API goes on and shows the new one. */
  async #startAgain(): Promise<void> {
    const before = this.#assembly;
    await this.#stopAssembly();
    if (this.#isStopping) return;
    try {
      this.#assembly = this.#assemble(before.mesh.linkPort);
      await this.#openLinks();
      this.#assembly.begin();
      this.#log.info(
        { before: before.identity.node, node: this.#assembly.identity.node, name: this.#assembly.name },
        "started again",
      );
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #stopAssembly(): Promise<void> {
    if (!this.#assembly.beginStop()) return;
    this.#closeListeners();
    await new Promise<void>((resolve) => this.#assembly.finishStop(resolve));
  }

  #closeListeners(): void {
    for (const listener of this.#listeners) listener.close();
    this.#balancing?.close();
  }

  status(): NodeStatus {
    return this.#assembly.watch.status();
  }

  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    await this.#rebirth;
    await this.#stopAssembly();
    this.#admin?.close();
    this.#data.close();
  }

  /** What the admin API may ask and do. */
  #actions(): NodeActions {
    const current = (): NodeAssembly => this.#assembly;
    return {
      status: () => this.status(),
      isServing: () => current().isServing,
      isStopping: () => this.#isStopping,
      moveAddress: () => this.#exercises.moveAddress(),
      addressClients: () => this.#exercises.addressClients(),
      drill: (...order) => this.#exercises.drill(...order),
      get retained() {
        return current().coordinator.retained;
      },
      events: () => current().watch.events.list,
      approveMerge: (done) => current().coordinator.merging.approve(done),
      conflicts: () => current().coordinator.merging.conflicts.map(shownConflict),
      clearConflicts: (done) => current().coordinator.merging.clearConflicts(done),
      ...inviter(() => this.#inviterNode(), systemRandom),
      roster: () => {
        const { identity, coordinator, mesh } = current();
        return rosterOf(identity.node, coordinator.status, mesh.members, (node) =>
          coordinator.known.nameOf(node),
        );
      },
      leave: async () => {
        await settled((done) => current().coordinator.leave(done));
        this.#setLeft();
      },
      forget: (node) => settled((done) => current().coordinator.forget(node, done)),
    };
  }

  #inviterNode(): InviterNode {
    const { mesh, coordinator } = this.#assembly;
    return {
      mesh: this.#config.mesh,
      salt: saltOf(this.#key),
      invitations: mesh.invitations,
      isFormed: coordinator.status.cluster !== undefined,
      linkPort: mesh.linkPort,
      nameOf: (node) => mesh.members.find(({ id }) => id === node)?.name ?? node,
    };
  }

  /** What a newcomer is given; undefined while there is no cluster to join. */
  #welcomeDocument(): Uint8Array | undefined {
    const { coordinator, identity } = this.#assembly;
    if (coordinator.status.cluster === undefined) return undefined;
    const key = Buffer.from(this.#key).toString("hex");
    return encodeWelcomeDocument({ key, settings: this.#config.shared, host: identity.node });
  }

  async #serve(reason: ReadyReason): Promise<void> {
    const assembly = this.#assembly;
    if (reason !== "current")
      this.#log.warn({ reason }, "not up to date, but serving clients with what this node has");
    try {
      const listeners = await openListeners(this.#listenerConfigs(), {
        broker: assembly.broker,
        certificates: this.#certificates,
        balancing: this.#balancing,
        refusals: new LogThrottle(this.#clock, this.#log.component("broker")),
      });
      if (assembly.isStopping || assembly.hasParted) {
        for (const listener of listeners) listener.close();
        return;
      }
      this.#listeners = listeners;
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    assembly.clientsWelcome();
    const urls = this.#config.listeners.map((config, at) =>
      listenerName(config, this.#listeners[at]?.port ?? 0),
    );
    this.#log.info({ listen: urls }, "clients are welcome");
    this.#setServing();
  }

  #hostFacts(): HostFacts {
    const { listeners, http, link, floatingAddress } = this.#config;
    const mqttAt = listeners.findIndex(isPlainForOthers);
    const network = floatingAddress?.networkInterface;
    return {
      machine: this.#machine,
      isWired: network === undefined ? isWiredAddress(link.host) : isWiredInterface(network),
      mqttPort: this.#listeners[mqttAt]?.port ?? listeners[mqttAt]?.port ?? 0,
      httpPort: isLoopback(http.host) ? 0 : (this.#admin?.port ?? http.port),
    };
  }

  /** With the ports that it had before, where they were free to choose. */
  #listenerConfigs(): readonly ListenerConfig[] {
    return this.#config.listeners.map((config, at) => {
      return { ...config, port: this.#listeners[at]?.port ?? config.port };
    });
  }

  #assemble(linkPort: number): NodeAssembly {
    const { link, isMdnsEnabled, limits, systemIntervalSeconds } = this.#config;
    const options = {
      ...this.#config,
      linkListen: formatHostPort({ ...link, port: linkPort }),
      limits: { ...limits, systemIntervalSeconds },
      owedBytesMax: storeRoom(this.#config),
    };
    return new NodeAssembly(options, {
      clock: this.#clock,
      random: systemRandom,
      disk: this.#data,
      bootId: systemBootId(),
      hardware: systemHardware(),
      host: () => this.#hostFacts(),
      network: systemNetwork,
      vitals: () => ({ version: VERSION, builtAt: BUILT_AT, memoryBytes: process.memoryUsage.rss() }),
      transport: (node) => {
        this.#balancing = this.#makeBalancing(node);
        const passEntry = this.#balancing.entry;
        return this.#switch.transport(tlsPskTransport({ key: this.#key, identity: node, passEntry }));
      },
      receiveRequest: (from, bytes) => this.#exercises.receive(from, bytes),
      passedClients: {
        membersChanged: (members) => this.#balancing?.membersChanged(members),
        connections: () => this.#balancing?.connections() ?? [],
        resetPassed: () => this.#balancing?.resetPassed(),
      },
      authenticator: this.#users?.authenticator,
      joining: { salt: saltOf(this.#key), document: () => this.#welcomeDocument() },
      mdns: isMdnsEnabled
        ? this.#switch.multicast(multicastDns({ log: this.#log.component("mesh") }))
        : undefined,
      process: systemProcesses(),
      log: (component) => this.#log.component(component),
      linksOpen: (error) => this.#linksOpen(error),
      ready: (reason) => void this.#serve(reason),
      clientsLeave: () => this.#closeListeners(),
      failed: (error) => this.#fail(error),
      startAgain: () => {
        this.#rebirth = this.#startAgain();
      },
    });
  }

  #makeBalancing(node: NodeId): ClientBalancing {
    const { isBalanced, floatingAddress } = this.#config;
    const address = isBalanced ? floatingAddress?.address : undefined;
    return new ClientBalancing(
      { key: this.#key, node, address },
      {
        log: this.#log.component("broker"),
        now: () => this.#clock.monotonicMs(),
        members: () => this.#assembly.mesh.members,
      },
    );
  }

  #makeExercises(): Exercises {
    return nodeExercises({
      clock: this.#clock,
      log: this.#log,
      meshSwitch: this.#switch,
      address: this.#config.floatingAddress?.address,
      status: () => this.status(),
      assembly: () => this.#assembly,
      passedOn: () => this.#balancing?.connectionCount ?? 0,
    });
  }
}
