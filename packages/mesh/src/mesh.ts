/**
 * The mesh layer of one node: finds the other nodes, and offers the broker and the coordinator one mesh.
 *
 * The broker sees `forward`, `add` and `remove`; the coordinator sees `sendControl`, `setFacts` and the member list. Here
 * stands the search for peers: who listens, who is dialled, what discovery and the running conversations tell the
 * dialer. What is said over the links is in conversations.ts.
 *
 * Source: architecture.md section 4; reference/design.md 3.3-3.6.
 */

import {
  type ApplicationMessage,
  type Completion,
  type MonotonicMs,
  type NodeId,
  type SharedChoice,
  SkeinError,
  type Stream,
  type StreamListener,
  type Timer,
  untilNext,
} from "@skein/kernel";
import { Conversations } from "./conversations.ts";
import { Discovery, type MulticastView } from "./discovery/discovery.ts";
import { JoinHost } from "./joining/host.ts";
import type { Invitations } from "./joining/invitations.ts";
import { decodeJoining, encodeJoining } from "./joining/join-messages.ts";
import { TICK_MS } from "./limits.ts";
import { splitAddress } from "./link/address.ts";
import { Dialer } from "./link/dialer.ts";
import type { Member, NodeFacts } from "./members.ts";
import { FrameType } from "./messages.ts";
import type { MeshCounters, MeshOptions, MeshPorts } from "./options.ts";

/** What the transport says of another end that has another mesh key. */
const OTHER_KEY = /another mesh key/;

const TWIN_DIAL_EVERY_MS = 10_000;
const TWIN_DIAL_MAX_MS = 3000;

export class Mesh {
  readonly #options: MeshOptions;
  readonly #ports: MeshPorts;
  readonly #conversations: Conversations;
  readonly #dialer: Dialer;
  readonly #discovery: Discovery;
  readonly #joinHost: JoinHost | undefined;
  #listener: StreamListener | undefined;
  #tickTimer: Timer | undefined;
  /** When a twin may be dialled again. */
  #twinDialMs = 0;
  #isStopped = false;

  constructor(options: MeshOptions, ports: MeshPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#conversations = this.#newConversations();
    this.#discovery = this.#newDiscovery();
    this.#dialer = this.#newDialer();
    this.#joinHost = this.#newJoinHost();
  }

  /** This node first, then every other node known. The same array until something changes. */
  get members(): readonly Member[] {
    return this.#conversations.membership.members;
  }

  /** When something came from another node last; undefined: it is not known. */
  heardAt(node: NodeId): MonotonicMs | undefined {
    return this.#conversations.membership.heardAt(node);
  }

  /** What mDNS has shown; undefined: this node does not listen to it. */
  get multicast(): MulticastView | undefined {
    return this.#discovery.multicast;
  }

  get counters(): MeshCounters {
    return this.#conversations.counters;
  }

  /** Undefined: nobody can be invited here. */
  get invitations(): Invitations | undefined {
    return this.#joinHost?.invitations;
  }

  /** Port links are accepted on; 0 before `ready`. */
  get linkPort(): number {
    return this.#listener?.port ?? 0;
  }

  /** Opens the link listener (`ports.ready` tells how that went), then begins to look for peers. */
  start(): void {
    this.#ports.transport.listen(
      this.#options.linkListen,
      (stream) => this.#accepted(stream),
      (remoteAddress, reason) => this.#strangerRefused(remoteAddress, reason),
      (result) => this.#listening(result),
      this.#joinHost,
    );
  }

  /**
   * Says goodbye (LEFT to all peers, TTL 0 on mDNS), lets it go out, closes all links. Calls `done` within a second.
   * Completions still open are not settled: nobody knows whether those messages arrived.
   */
  stop(done: () => void): void {
    if (this.#isStopped) {
      done();
      return;
    }
    this.#isStopped = true;
    this.#tickTimer?.cancel();
    this.#dialer.stop();
    this.#discovery.stop();
    this.#joinHost?.stop();
    this.#listener?.close();
    this.#conversations.stop(done);
  }

  /**
   * Sends `message` once to every node that wants it and serves each matching shared subscription exactly once,
   * mesh-wide. Returns how many times `done` will be settled, never before this returns: 0x00 accepted by the node
   * (or the node is gone), 0x97 too much is already on the way to it, 0x95 larger than a frame.
   */
  forward(
    message: ApplicationMessage,
    done: Completion | undefined,
    choice: SharedChoice | undefined,
  ): number {
    return this.#conversations.forwarder.forward(message, done, choice);
  }

  forwardShared(message: ApplicationMessage, dealt: readonly string[]): void {
    this.#conversations.forwarder.forwardShared(message, dealt);
  }

  /** A local subscription begins. Returns how many peers must acknowledge it before SUBACK (P4). */
  add(filter: string, done: Completion): number {
    return this.#conversations.interest.add(filter, done);
  }

  /** A local subscription ends. Matches an earlier `add`. */
  remove(filter: string): void {
    this.#conversations.interest.remove(filter);
  }

  /** Sends a control frame; lost (and counted) without a link to `to`, or when its link owes too much. */
  sendControl(to: NodeId, bytes: Uint8Array): void {
    this.#conversations.send(to, "control", bytes);
  }

  /** Clients find the mesh here by its name (discovery.ts), or not any more. */
  publishEntry(entry: { readonly address: string | undefined; readonly port: number } | undefined): void {
    this.#discovery.publishEntry(entry);
  }

  /** Sends a frame about the clients' address. False: lost, for want of a link or of room on it. */
  sendAddress(to: NodeId, bytes: Uint8Array): boolean {
    return this.#conversations.send(to, "address", bytes);
  }

  /** What others shall know about this node. Told to all at once, four times a second at most. */
  setFacts(facts: NodeFacts): void {
    if (!this.#conversations.membership.setFacts(facts)) return;
    this.#discovery.setCluster(facts.cluster);
    this.#conversations.gossip.factsChanged();
  }

  /** Who belongs to the cluster, by its log: those that are gone and do not are listed no longer. */
  setConfigured(nodes: readonly NodeId[]): void {
    this.#conversations.membership.setConfigured(new Set(nodes));
  }

  #newConversations(): Conversations {
    return new Conversations(this.#options, this.#ports, {
      linkPort: () => this.linkPort,
      addressLearnt: (node, address) => this.#dialer.learn(node, address, false),
      answered: (node, address) => this.#dialer.answered(node, address),
      linkUp: (node, address) => this.#linkUp(node, address),
      linkLost: (node) => {
        this.#dialer.lost(node);
        if (this.#conversations.links.active.size === 0) this.#discovery.searchAgain();
      },
      directLost: (node) => this.#dialer.lost(node),
      yielded: (rightful) => {
        if (!this.#isStopped) this.#ports.identityTaken?.(rightful);
      },
      outrun: (by) => {
        if (!this.#isStopped) this.#ports.identityOutrun?.(by);
      },
      joining: (from, body) => this.#joinHost?.receive(from, decodeJoining(body)),
      memberGone: (node) => this.#dialer.forget(node),
      selfDialled: (address) => this.#dialer.isSelf(address),
    });
  }

  #newJoinHost(): JoinHost | undefined {
    const { joining, clock, log } = this.#ports;
    if (joining === undefined) return undefined;
    const host: JoinHost = new JoinHost(
      { ...this.#options, ...joining },
      {
        clock,
        log,
        isLinked: (node) => this.#conversations.links.active.has(node),
        send: (to, message) =>
          this.#conversations.links.tell(to, FrameType.joining, (out) => encodeJoining(message, out)),
        invitationsChanged: () => this.#discovery.setInvitation(host.invitations.standing),
      },
    );
    return host;
  }

  #newDialer(): Dialer {
    const { node, peers, excludedAddresses } = this.#options;
    const { transport, clock, prng } = this.#ports;
    const options = {
      own: node,
      peers,
      excludedAddresses,
      isLinked: (other: NodeId) => this.#conversations.isLinkedDirectly(other),
      isOwnAddress: (address: string) => this.#discovery.isOwnAddress(address),
      dialled: (stream: Stream, address: string) => this.#conversations.addStream(stream, true, address),
      failed: (address: string, error: Error, isStatic: boolean) =>
        this.#dialFailed(address, error, isStatic),
    };
    return new Dialer(options, transport, clock, prng);
  }

  #newDiscovery(): Discovery {
    return new Discovery(this.#options, this.#ports, {
      found: (node, address, isFresh) => this.#dialer.learn(node, address, isFresh),
      leaving: (node) => {
        if (!this.#conversations.isLinkedDirectly(node)) this.#dialer.forget(node);
      },
      cloneSeen: (addresses) => this.#twinSeen(addresses),
    });
  }

  #listening(result: StreamListener | Error): void {
    if (result instanceof Error) {
      const text = `Cannot listen for links on ${this.#options.linkListen}: ${result.message}`;
      const isOurs = result instanceof SkeinError;
      this.#ports.ready(isOurs ? result : new SkeinError("ERR_SKEIN_LISTEN", text, { cause: result }));
      return;
    }
    if (this.#isStopped) {
      result.close();
      return;
    }
    this.#listener = result;
    this.#discovery.start(result.port);
    this.#dialer.start();
    this.#conversations.gossip.start();
    this.#tick();
    this.#ports.ready(undefined);
  }

  /** Another machine announces this node's id: the two find out from each other which one it is. */
  #twinSeen(addresses: readonly string[]): void {
    const now = this.#ports.clock.monotonicMs();
    if (this.#isStopped || now < this.#twinDialMs) return;
    this.#twinDialMs = now + TWIN_DIAL_EVERY_MS;
    const message = "another machine announces this node's id (cloned SD card?)";
    this.#conversations.throttle.warn("clone", { addresses }, message);
    for (const address of addresses) {
      if (this.#discovery.isOwnAddress(address)) continue;
      this.#ports.transport.dial(address, TWIN_DIAL_MAX_MS, (result) => {
        if (result instanceof Error) return;
        if (this.#isStopped) result.reset();
        else this.#conversations.addStream(result, true, address);
      });
    }
  }

  #tick(): void {
    this.#conversations.tick();
    this.#joinHost?.invitations.tick();
    const { clock } = this.#ports;
    this.#tickTimer = clock.after(untilNext(clock, TICK_MS), () => this.#tick());
  }

  #accepted(stream: Stream): void {
    // A link over the floating address would end at another node after the next hand-over (design.md, trap 13).
    if (this.#isStopped || this.#options.excludedAddresses.includes(stream.localAddress)) stream.reset();
    else this.#conversations.addStream(stream, false, stream.remoteAddress);
  }

  #linkUp(node: NodeId, address: string): void {
    this.#joinHost?.linked(node);
    if (address !== "") this.#dialer.linked(node, address);
    this.#discovery.remembered.remember(this.#dialer.remembered());
  }

  #strangerRefused(remoteAddress: string, reason: string): void {
    const subject = `stranger ${splitAddress(remoteAddress)?.host ?? remoteAddress}`;
    const fields = { peer: remoteAddress, reason };
    const isOtherKey = OTHER_KEY.test(reason);
    this.#conversations.throttle.warn(
      subject,
      fields,
      isOtherKey ? this.#otherKey : "link refused: no Skein node",
    );
  }

  /** Both ends of a pair with two keys say the same. */
  get #otherKey(): string {
    return `Another mesh called "${this.#options.mesh}" with another key is on this network. If it is yours, run skein invite there, and here, with an empty data directory, skein up --join CODE; else give this one another name with --mesh.`;
  }

  #dialFailed(address: string, error: Error, isStatic: boolean): void {
    const fields = { peer: address, reason: error.message };
    const { throttle } = this.#conversations;
    if (OTHER_KEY.test(error.message)) {
      throttle.warn(`key ${address}`, fields, this.#otherKey);
    } else if (isStatic) {
      throttle.warn(`dial ${address}`, fields, "configured peer does not answer");
    } else {
      this.#ports.log.debug(fields, "peer does not answer");
    }
  }
}
