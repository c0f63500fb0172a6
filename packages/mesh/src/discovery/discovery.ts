/**
 * Where other nodes may be: mDNS, and the peers remembered from last time, behind one door.
 *
 * Also knows this node's own addresses, which decides what is advertised and what must never be dialled. The floating
 * address is neither: it belongs to whoever coordinates (reference/design.md, trap 13).
 */

import type { Clock, ClusterId, Disk, Log, MonotonicMs, MulticastDns, NodeId, Prng } from "@skein/kernel";
import { isLoopback, isWildcardHost, splitAddress } from "../link/address.ts";
import { SPOKEN_VERSIONS } from "../link/protocol-version.ts";
import type { MeshOptions } from "../options.ts";
import { Advertiser } from "./advertiser.ts";
import { Browser } from "./browser.ts";
import { MeshName, meshLabel } from "./mesh-name.ts";
import { RememberedPeers } from "./remembered-peers.ts";
import type { SeenInstance, ServiceInstance } from "./service-instance.ts";

export interface DiscoveryPorts {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly disk: Disk;
  readonly log: Log;
  readonly mdns: MulticastDns | undefined;
}

export interface DiscoveryOwner {
  /** `node` may be reached at `address`. `isFresh`: it says so itself, now. */
  found(node: NodeId, address: string, isFresh: boolean): void;
  /** `node` said goodbye on mDNS. */
  leaving(node: NodeId): void;
  /** Another machine announces this node's id. */
  cloneSeen(addresses: readonly string[]): void;
}

/** What mDNS has shown, to be compared with who is there. */
export interface MulticastView {
  /** Since when this node listens. */
  readonly sinceMs: MonotonicMs;
  /** When a node was seen last; undefined: never. */
  readonly seenAt: (node: NodeId) => MonotonicMs | undefined;
}

/** Nodes of other meshes are not kept, but multicast is not authenticated. */
const SEEN_MAX = 1024;

export class Discovery {
  readonly remembered: RememberedPeers;
  readonly #options: MeshOptions;
  readonly #ports: DiscoveryPorts;
  readonly #owner: DiscoveryOwner;
  readonly #advertiser: Advertiser | undefined;
  readonly #browser: Browser | undefined;
  readonly #meshName: MeshName | undefined;
  #port = 0;
  #cluster: ClusterId | undefined;
  #invitation: ServiceInstance["invitation"];
  #hasFailed = false;
  #sinceMs: MonotonicMs | undefined;
  readonly #seenAt = new Map<NodeId, MonotonicMs>();

  constructor(options: MeshOptions, ports: DiscoveryPorts, owner: DiscoveryOwner) {
    const { mdns, clock, prng, disk, log } = ports;
    this.#options = options;
    this.#ports = ports;
    this.#owner = owner;
    this.remembered = new RememberedPeers(disk, clock, log);
    if (mdns !== undefined) {
      this.#advertiser = new Advertiser(mdns, () => this.#ownInstance(), clock, prng);
      this.#browser = new Browser(mdns, options.mesh, (instance) => this.#seen(instance), clock, prng);
      // That name belongs to the machine's own responder, which other programs rely on.
      if (meshLabel(options.mesh) === mdns.hostName().split(".")[0]?.toLowerCase()) {
        const name = `${meshLabel(options.mesh)}.local`;
        log.warn({ name }, "the mesh is called like this machine: clients find it by address only");
      } else this.#meshName = new MeshName(options.mesh, mdns, clock, prng);
    }
  }

  /** `port`: where this node accepts links. */
  start(port: number): void {
    this.#port = port;
    for (const [node, address] of this.remembered.load()) this.#owner.found(node, address, false);
    if (this.#ports.mdns !== undefined) this.#sinceMs = this.#ports.clock.monotonicMs();
    this.#ports.mdns?.start({
      queried: (questions) => {
        this.#advertiser?.queried(questions);
        this.#meshName?.queried(questions);
        this.#browser?.queried(questions);
      },
      answered: (records, fromAddress) => {
        this.#fromAddress = fromAddress;
        this.#browser?.answered(records, fromAddress);
        this.#meshName?.answered(records);
      },
      failed: (error) => this.#failed(error),
    });
    this.#advertiser?.start();
    this.#browser?.query();
  }

  /** Undefined: this node does not listen, or cannot. */
  get multicast(): MulticastView | undefined {
    const sinceMs = this.#sinceMs;
    if (sinceMs === undefined || this.#hasFailed) return undefined;
    return { sinceMs, seenAt: (node) => this.#seenAt.get(node) };
  }

  /** All links are lost: looks for others as eagerly as at the start. */
  searchAgain(): void {
    if (this.#port !== 0) this.#browser?.query();
  }

  setCluster(cluster: ClusterId | undefined): void {
    if (cluster === this.#cluster) return;
    this.#cluster = cluster;
    this.#advertiser?.announce();
  }

  /** Whether a newcomer can join with a code here, or could not long ago. */
  setInvitation(invitation: ServiceInstance["invitation"]): void {
    if (invitation === this.#invitation) return;
    this.#invitation = invitation;
    this.#advertiser?.announce();
  }

  /**
   * Clients find the mesh here by its name: at `address`, or at this node's own ones; undefined: not here.
   * @param port of the MQTT listener; 0: none is open to other machines
   */
  publishEntry(entry: { readonly address: string | undefined; readonly port: number } | undefined): void {
    if (this.#port === 0) return;
    if (entry === undefined) this.#meshName?.publish(undefined);
    else {
      const { address, port } = entry;
      this.#meshName?.publish({ addresses: address === undefined ? this.#ownAddresses() : [address], port });
    }
  }

  /** Goodbye. */
  stop(): void {
    this.#meshName?.stop();
    this.remembered.stop();
    this.#browser?.stop();
    this.#advertiser?.stop();
    this.#ports.mdns?.stop();
  }

  /** Whether `address` (`host:port`) is this node's own listener. */
  isOwnAddress(address: string): boolean {
    const parts = splitAddress(address);
    if (parts === undefined || parts.port !== this.#port) return false;
    const listenHost = this.#listenHost;
    if (!isWildcardHost(listenHost)) return parts.host === listenHost;
    return isLoopback(parts.host) || this.#isLocal(parts.host);
  }

  #fromAddress = "";

  get #listenHost(): string {
    return splitAddress(this.#options.linkListen)?.host ?? "";
  }

  /** Without the floating one. */
  #ownAddresses(): readonly string[] {
    const local = this.#ports.mdns?.localAddresses() ?? [];
    return local.filter((one) => !this.#options.excludedAddresses.includes(one));
  }

  #isLocal(host: string): boolean {
    return this.#ports.mdns?.localAddresses().includes(host) ?? false;
  }

  #ownInstance(): ServiceInstance {
    const { node, mesh, incarnation, excludedAddresses } = this.#options;
    const listenHost = this.#listenHost;
    const addresses = isWildcardHost(listenHost)
      ? this.#ownAddresses().filter((one) => listenHost !== "0.0.0.0" || !one.includes(":"))
      : [listenHost].filter((one) => !excludedAddresses.includes(one));
    return {
      mesh,
      node,
      incarnation,
      cluster: this.#cluster,
      invitation: this.#invitation,
      port: this.#port,
      protocolVersion: (this.#options.protocolVersions ?? SPOKEN_VERSIONS).newest,
      addresses,
    };
  }

  #seen(instance: SeenInstance): void {
    if (instance.node === this.#options.node) {
      // One's own announcements come back by multicast; the same id from elsewhere is a copied data directory.
      const isForeign = instance.addresses.some((address) => !this.isOwnAddress(address));
      if (isForeign && !instance.isLeaving && !this.#isLocal(this.#fromAddress))
        this.#owner.cloneSeen(instance.addresses);
      return;
    }
    if (instance.isLeaving) {
      this.#seenAt.delete(instance.node);
      this.#owner.leaving(instance.node);
      return;
    }
    if (this.#seenAt.has(instance.node) || this.#seenAt.size < SEEN_MAX)
      this.#seenAt.set(instance.node, this.#ports.clock.monotonicMs());
    for (const address of instance.addresses) {
      const host = splitAddress(address)?.host;
      // A loopback address names the sender's machine: good only if that is this one.
      if (host !== undefined && isLoopback(host) && !this.#isLocal(this.#fromAddress)) continue;
      this.#owner.found(instance.node, address, true);
    }
  }

  #failed(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#ports.log.warn(
      { reason: error.message },
      "mdns is not usable: peers are found by --peer, from last time and through each other only",
    );
  }
}
