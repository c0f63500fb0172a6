/**
 * Spreads the clients of the floating address over the nodes: decides (mesh's Balancer), passes on and takes in (platform).
 *
 * On the holder a connection that arrives on the address goes to the node that the balancer chooses, and is served here if
 * that node does not take it. Any node takes in what a holder passes on, whatever its own setting, as long as it lets in
 * clients of that protocol from other machines: who may not come to a node directly may not come through another one either.
 * Neither end hears from TCP when the other's power fails, so membership tells: what went through a dead node is reset.
 */

import type { Log, MonotonicMs, NodeId } from "@skein/kernel";
import { Balancer, type Member } from "@skein/mesh";
import {
  type Claim,
  type ClientListener,
  type ClientProtocol,
  type ClientSocket,
  PassEntry,
  Passer,
} from "@skein/platform";

export interface ClientBalancingOptions {
  /** The mesh key. */
  readonly key: Uint8Array;
  readonly node: NodeId;
  /** Clients that connect to this address are spread; undefined: none are. */
  readonly address: string | undefined;
}

export interface ClientBalancingPorts {
  readonly log: Log;
  readonly now: () => MonotonicMs;
  readonly members: () => readonly Member[];
}

/** What a node's other parts need to know of it. */
export type PassedClients = Pick<ClientBalancing, "membersChanged" | "resetPassed" | "connections">;

export class ClientBalancing {
  /** To be put on the link port. */
  readonly entry: PassEntry;
  readonly #options: ClientBalancingOptions;
  readonly #ports: ClientBalancingPorts;
  readonly #balancer: Balancer;
  readonly #passer: Passer;
  readonly #listeners: { readonly protocol: ClientProtocol; readonly listener: ClientListener }[] = [];
  /**
   * Open connections that this node serves, from their first moment: a client of WebSocket reaches the broker only after its HTTP
   * request, and a burst of them must not look like nobody.
   */
  #served = 0;
  /** One for all: a listener of its own costs each connection 270 bytes. */
  readonly #closed = (): void => {
    this.#served--;
  };

  constructor(options: ClientBalancingOptions, ports: ClientBalancingPorts) {
    const { key, node } = options;
    this.#options = options;
    this.#ports = ports;
    this.#balancer = new Balancer(node);
    this.#passer = new Passer({ key, node });
    this.entry = new PassEntry({ key, node, server: (claim) => this.#serverOf(claim) });
  }

  /** The clients that other nodes serve through this one, in the form of Broker.connectionsOn. */
  connections(): Iterable<{ readonly remoteAddress: string; readonly serverPort: number }> {
    return this.#passer.connections();
  }

  /** How many that are. */
  get connectionCount(): number {
    return this.#passer.count();
  }

  /** Clients that other nodes pass on are served by `listener`, until {@link close}. */
  takeIn(protocol: ClientProtocol, listener: ClientListener): void {
    this.#listeners.push({ protocol, listener });
  }

  /** Takes nobody in any more. */
  close(): void {
    this.#listeners.length = 0;
  }

  /** For a listener's `divert`: true if another node shall serve `socket`. */
  divert(protocol: ClientProtocol, socket: ClientSocket, serve: (socket: ClientSocket) => void): boolean {
    const { node: self, address } = this.#options;
    const { log, now, members } = this.#ports;
    if (address === undefined || socket.localAddress !== address) return this.#serve(socket);
    // A node without a port for clients of other machines takes none in; the port of WebSocket is not told.
    const candidates = members().filter(
      ({ id, mqttPort }) => id === self || protocol !== "mqtt" || mqttPort !== 0,
    );
    const node = this.#balancer.choose(protocol, candidates, this.#served, now());
    const target = candidates.find(({ id }) => id === node);
    if (node === self || target === undefined) return this.#serve(socket);
    this.#passer.pass(socket, protocol, { node, address: target.address }, (reason) => {
      log.debug({ member: node, reason }, "a node did not take a client; serving it here");
      this.#balancer.failed(protocol, node, now());
      this.#serve(socket);
      serve(socket);
    });
    return true;
  }

  /** Some are gone, or have been started anew. */
  membersChanged(members: readonly Member[]): void {
    for (const { id, state } of members) {
      if (state !== "dead" && state !== "left") continue;
      this.#passer.resetTo(id);
      this.entry.resetFrom(id);
    }
  }

  /** The address leaves this node: all that came in on it are reset, wherever they are served. */
  resetPassed(): void {
    this.#passer.resetAll();
  }

  /** Counts `socket` as one of this node's own, where that matters to anybody. Returns false: it is not diverted. */
  #serve(socket: ClientSocket): false {
    if (this.#options.address === undefined) return false;
    this.#served++;
    socket.on("close", this.#closed);
    return false;
  }

  #serverOf({ protocol, source, destination, holder }: Claim): ((socket: ClientSocket) => void) | undefined {
    const listener = this.#listenerFor(protocol, destination.port);
    if (listener === undefined) return undefined;
    const client = `${source.address} ${source.port}`;
    this.#ports.log.debug(
      { client, holder, protocol },
      "serving a client that the holder of the address passed on",
    );
    return (socket) => {
      this.#serve(socket);
      listener.serve(socket);
    };
  }

  /**
   * The listener of that port, for it wants of its clients what the holder's wants (a certificate, perhaps). Nodes may have other
   * ports: where there is only one of the protocol, it is meant.
   */
  #listenerFor(protocol: ClientProtocol, port: number): ClientListener | undefined {
    const listeners = this.#listeners.filter((one) => one.protocol === protocol);
    const same = listeners.find(({ listener }) => listener.port === port);
    return (same ?? (listeners.length === 1 ? listeners[0] : undefined))?.listener;
  }
}
