/**
 * The conversations with all other nodes: what news of one part of the mesh mean to the others.
 *
 * Each part keeps to its own matter (links, membership, interest, forwarding); here and nowhere else stands what
 * follows when a link comes up or is lost, when a member becomes suspect, dies, leaves or restarts, and which part
 * a frame is for. Where peers are found is not known here (mesh.ts).
 *
 * Source: architecture.md section 4; reference/design.md 3.4, 3.5.
 */

import { LogThrottle, type NodeId, type Stream } from "@skein/kernel";
import type { ConversationsOwner } from "./conversations-owner.ts";
import { Forwarder } from "./forwarding/forwarder.ts";
import { type FrameReaders, giveFrame } from "./frame-readers.ts";
import { InterestExchange } from "./interest/interest-exchange.ts";
import { RemoteRows } from "./interest/rows.ts";
import { FRAME_BYTES_MAX } from "./limits.ts";
import { joinAddress, splitAddress } from "./link/address.ts";
import type { Refusal } from "./link/handshake.ts";
import type { Link } from "./link/link.ts";
import { LinkSet } from "./link/link-set.ts";
import { type ProtocolVersions, SPOKEN_VERSIONS } from "./link/protocol-version.ts";
import { encodeOutrun } from "./link/twins.ts";
import type { MemberState } from "./members.ts";
import { Gossip } from "./membership/gossip.ts";
import { Membership } from "./membership/membership.ts";
import { FrameType, type Hello, type Resume } from "./messages.ts";
import type { MeshOptions, MeshPorts } from "./options.ts";
import { Peer } from "./peer.ts";
import { Relaying, type RelayingOwner } from "./relay/relaying.ts";

/** Bytes a link may owe before control frames are dropped; Raft sends them again when it matters. */
const CONTROL_UNSENT_BYTES_MAX = 32 * 1024 * 1024;

export class Conversations {
  readonly counters = {
    forwarded: 0,
    received: 0,
    duplicatesDropped: 0,
    qos0Dropped: 0,
    refused: 0,
    lateBarriers: 0,
    controlDropped: 0,
    unknownFrames: 0,
    relayed: 0,
  };
  readonly membership: Membership;
  readonly interest: InterestExchange;
  readonly forwarder: Forwarder;
  readonly gossip: Gossip;
  readonly throttle: LogThrottle;
  readonly links: LinkSet;
  readonly #options: MeshOptions;
  readonly #ports: MeshPorts;
  readonly #owner: ConversationsOwner;
  readonly #nonce: number;
  readonly #startedMs: number;
  readonly #peers = new Map<NodeId, Peer>();
  readonly #remoteRows: RemoteRows;
  readonly #relaying: Relaying;
  readonly #frames: FrameReaders;
  #isStopped = false;
  #areMembersDue = false;

  constructor(options: MeshOptions, ports: MeshPorts, owner: ConversationsOwner) {
    this.#options = options;
    this.#ports = ports;
    this.#owner = owner;
    const { clock, prng } = ports;
    this.#nonce = prng.below(2 ** 32);
    this.#startedMs = clock.monotonicMs();
    this.throttle = new LogThrottle(clock, ports.log);
    this.membership = this.#newMembership();
    this.#remoteRows = new RemoteRows((node, filter, isWanted) => {
      if (isWanted) this.forwarder.routes.add(filter, this.#peerOf(node));
      else this.forwarder.routes.remove(filter, this.#peerOf(node));
    });
    this.interest = this.#newInterest();
    this.forwarder = new Forwarder(ports.delivery, clock, this.counters);
    const gossipOwner = {
      linkedPeers: () => [...this.#peers.values()].filter((peer) => peer.link !== undefined),
      addressLearnt: (node: NodeId, address: string) => owner.addressLearnt(node, address),
    };
    this.gossip = new Gossip(gossipOwner, this.membership, this.interest, clock, prng);
    this.links = this.#newLinks();
    this.#relaying = new Relaying(this.#relayingOwner(), clock, prng);
    this.#frames = this.#newFrameReaders();
  }

  /** Whether there is a link to `node` that goes through no other node. */
  isLinkedDirectly(node: NodeId): boolean {
    const link = this.links.active.get(node);
    return link !== undefined && link.relay === undefined;
  }

  /** Begins a conversation on a stream that was dialled or accepted. */
  addStream(stream: Stream, isDialled: boolean, address: string): void {
    this.links.add(stream, isDialled, address);
  }

  /** Looks for silence and breaks its own. Call it every TICK_MS. */
  tick(): void {
    const now = this.#ports.clock.monotonicMs();
    for (const [node, link] of this.links.active) this.membership.heard(node, link.receivedMs, now);
    this.membership.tick(now);
    this.links.tick();
    this.#relaying.tick();
  }

  /** Says LEFT to all, then closes all links; calls `done` when that has gone out, or a second later. */
  stop(done: () => void): void {
    this.#isStopped = true;
    this.gossip.stop();
    for (const link of this.links.active.values()) {
      link.beginFrame(FrameType.left);
      link.endFrame();
    }
    this.links.end(done);
  }

  /** Returns whether it is on its way. */
  send(to: NodeId, type: "control" | "address", bytes: Uint8Array): boolean {
    const link = this.#peers.get(to)?.link;
    const isFull = (link?.unsentBytes ?? 0) > CONTROL_UNSENT_BYTES_MAX;
    if (link === undefined || isFull || bytes.length >= FRAME_BYTES_MAX) {
      this.counters.controlDropped++;
      return false;
    }
    link.beginFrame(FrameType[type]).raw(bytes);
    link.endFrame();
    return true;
  }

  #newMembership(): Membership {
    const { node: id, incarnation, name } = this.#options;
    const own = { id, incarnation, name, protocolVersion: this.#versions.newest };
    return new Membership(own, this.#ports.clock.monotonicMs(), {
      stateChanged: (member, from, to) => this.#stateChanged(member, from, to),
      restarted: (member) => this.#restarted(member),
      rowsExpired: (member) => this.#remoteRows.drop(member),
      forgotten: (member) => this.#forgotten(member),
      changed: () => this.#membersChanged(),
    });
  }

  get #versions(): ProtocolVersions {
    return this.#options.protocolVersions ?? SPOKEN_VERSIONS;
  }

  #newInterest(): InterestExchange {
    const { node, incarnation } = this.#options;
    const owner = {
      node,
      incarnation,
      reachablePeers: () => [...this.#peers.values()].filter((peer) => peer.isReachable),
      localShareChanged: (sharedFilter: string, isHeld: boolean) => {
        if (isHeld) this.forwarder.routes.add(sharedFilter, "local");
        else this.forwarder.routes.remove(sharedFilter, "local");
      },
      barrierLate: () => {
        this.counters.lateBarriers++;
      },
    };
    return new InterestExchange(owner, this.#remoteRows, this.#ports.clock);
  }

  #newLinks(): LinkSet {
    return new LinkSet(() => this.#ownHello(), this.#ports.clock, {
      greeted: (link, hello) => this.#greeted(link, hello),
      established: (link, resume, replaced) => this.#established(link, resume, replaced),
      received: (link, type, body) => this.#received(link, type, body),
      aboutToWrite: (link) => this.#aboutToWrite(link),
      lost: (link, reason) => this.#lost(link, reason),
      twinsFound: (node, rightful) =>
        this.throttle.warn(
          `twins ${node}`,
          { node, rightful },
          "two machines have one identity (cloned SD card?)",
        ),
      yielded: (rightful) => this.#owner.yielded(rightful),
      outrun: (by) => {
        if (by.incarnation >= this.#options.incarnation) this.#owner.outrun(by);
      },
      refused: (link, refusal) => this.#refused(link, refusal),
      failed: (link, reason) =>
        this.#ports.log.debug({ address: link.address, reason }, "link handshake failed"),
    });
  }

  #relayingOwner(): RelayingOwner {
    return {
      node: this.#options.node,
      links: this.links.active,
      members: () => this.membership.members,
      addStream: (stream, isDialled, relay) => {
        if (!this.#isStopped) this.links.add(stream, isDialled, `through ${relay}`, relay);
      },
      passedOn: () => {
        this.counters.relayed++;
      },
    };
  }

  #ownHello(): Hello {
    const { mesh, node, incarnation, home } = this.#options;
    const { name } = this.membership.ownFacts;
    const linkPort = this.#owner.linkPort();
    const said = { mesh, node, incarnation, nonce: this.#nonce, name, linkPort, home: home ?? "unknown" };
    const uptimeMs = Math.floor(this.#ports.clock.monotonicMs() - this.#startedMs);
    return { versions: this.#versions, ...said, uptimeMs };
  }

  #refused(link: Link, refusal: Refusal): void {
    if (refusal.kind === "self") {
      if (link.isDialled) this.#owner.selfDialled(link.address);
      return;
    }
    const host = splitAddress(link.address)?.host ?? link.address;
    this.throttle.warn(
      `${refusal.kind} ${host}`,
      { peer: link.address, reason: refusal.text },
      "link refused",
    );
  }

  #greeted(link: Link, hello: Hello): Resume | undefined {
    if (this.#isStopped) return undefined;
    const outran = this.membership.outran(hello);
    if (outran !== undefined) {
      encodeOutrun(outran, link.beginFrame(FrameType.outrun));
      link.endFrame();
      const reason = `A copy of the data of ${hello.name} has been started as often as this, or more often (cloned SD card, restored backup?): it is told, and starts again by itself.`;
      this.throttle.warn(`old ${hello.node}`, { peer: link.address, reason }, "link refused");
      return undefined;
    }
    if (!this.membership.greeted(hello, this.#ports.clock.monotonicMs())) return undefined;
    const peer = this.#peerOf(hello.node);
    peer.incarnation = hello.incarnation;
    if (link.isDialled && link.relay === undefined) this.#owner.answered(hello.node, link.address);
    return {
      incarnation: hello.incarnation,
      lastSequence: peer.inbound.last,
      interestVersion: this.#remoteRows.versionOf(hello.node, hello.incarnation),
    };
  }

  #established(link: Link, resume: Resume, replaced: Link | undefined): void {
    const { hello } = link;
    if (hello === undefined || this.#isStopped) return;
    const peer = this.#peerOf(hello.node);
    const isOurs = resume.incarnation === this.#options.incarnation;
    const address = this.#addressOf(link, hello);
    peer.link = link;
    peer.isReachable = true;
    peer.isLive = true;
    this.membership.linked(hello.node, address, link.relay, this.#ports.clock.monotonicMs());
    if (link.relay === undefined) this.#owner.linkUp(hello.node, address);
    else this.#relayed(hello, link.relay);
    // A direct way that a relay has taken over from is looked for again: nobody dials while there is one.
    if (link.relay !== undefined && replaced !== undefined && replaced.relay === undefined)
      this.#owner.directLost(hello.node);
    // In this order: rows before messages (P4), messages resent before any new one (P7).
    this.interest.linked(peer, link, isOurs ? resume.interestVersion : 0);
    this.forwarder.resume(peer, link, isOurs ? resume.lastSequence : 0);
    this.gossip.linked(link);
    const fields = {
      peer: hello.node,
      name: hello.name,
      address: link.relay === undefined ? address : link.address,
    };
    if (replaced === undefined) this.#ports.log.info(fields, "link up");
    else this.#ports.log.debug(fields, "link replaced");
  }

  #relayed(hello: Hello, relay: NodeId): void {
    const fields = { peer: hello.node, name: hello.name, relay };
    const message = "no direct way to a node (Wi-Fi client isolation?): its traffic goes through another";
    this.throttle.warn(`relayed ${hello.node}`, fields, message);
  }

  /** Where others may dial the peer: as this node did, or where it called from with the port it listens on. */
  #addressOf(link: Link, hello: Hello): string {
    if (link.relay !== undefined) return "";
    if (link.isDialled) return link.address;
    const host = splitAddress(link.address)?.host;
    if (host === undefined || hello.linkPort === 0 || this.#options.excludedAddresses.includes(host))
      return "";
    return joinAddress(host, hello.linkPort);
  }

  #lost(link: Link, reason: string): void {
    const node = link.hello?.node;
    const peer = node === undefined ? undefined : this.#peers.get(node);
    if (peer === undefined || this.#isStopped) return;
    peer.link = undefined;
    peer.isLive = false;
    peer.isPulling = false;
    this.#ports.log.info({ peer: peer.id, reason }, "link lost");
    this.membership.unlinked(peer.id, this.#ports.clock.monotonicMs());
    this.#relaying.lost(peer.id, link.relay !== undefined);
    this.#owner.linkLost(peer.id);
  }

  #received(link: Link, type: number, body: Uint8Array): void {
    const peer = link.hello === undefined ? undefined : this.#peers.get(link.hello.node);
    if (peer !== undefined && !this.#isStopped) giveFrame(this.#frames, peer, link, type, body);
  }

  #newFrameReaders(): FrameReaders {
    const { forwarder, gossip, interest, membership } = this;
    const { clock, receiveControl, receiveAddress } = this.#ports;
    return {
      forwarder,
      gossip,
      interest,
      relaying: this.#relaying,
      receiveControl,
      receiveAddress,
      joining: (from, body) => this.#owner.joining(from, body),
      left: (peer) => membership.left(peer.id, clock.monotonicMs()),
      echoed: (peer, link) => {
        const { roundTrip } = link;
        if (!roundTrip.answered(clock.monotonicMs()) || peer.link !== link) return;
        membership.measured(peer.id, roundTrip.medianMs ?? 0);
      },
      unknown: () => {
        this.counters.unknownFrames++;
      },
    };
  }

  #aboutToWrite(link: Link): void {
    const peer = link.hello === undefined ? undefined : this.#peers.get(link.hello.node);
    if (peer === undefined || peer.link !== link) return;
    this.forwarder.writeAck(peer, link);
    this.interest.writeAck(peer, link);
  }

  #stateChanged(node: NodeId, from: MemberState | undefined, to: MemberState): void {
    const peer = this.#peers.get(node);
    this.#ports.log.info({ member: node, from, to }, "member state changed");
    if (peer === undefined) return;
    if (to === "alive") {
      peer.isLive = peer.link !== undefined;
      this.interest.recovered(peer);
    } else if (to === "suspect") {
      peer.isLive = false;
      this.interest.suspected(peer);
    } else {
      this.#gone(peer, to);
      if (to === "left") this.#owner.memberGone(node);
    }
  }

  #restarted(node: NodeId): void {
    const peer = this.#peers.get(node);
    this.#remoteRows.drop(node);
    if (peer === undefined) return;
    this.#gone(peer, "restarted");
    peer.inbound.reset();
    peer.incarnation = this.membership.incarnationOf(node) ?? peer.incarnation;
  }

  /** Its live sessions are gone: nobody waits for it any more. */
  #gone(peer: Peer, reason: string): void {
    peer.isReachable = false;
    peer.isLive = false;
    this.links.drop(peer.id, `peer is ${reason}`);
    this.forwarder.abandon(peer);
    this.interest.gone(peer);
  }

  #forgotten(node: NodeId): void {
    this.#remoteRows.drop(node);
    this.#relaying.forget(node);
    this.#peers.delete(node);
    this.#owner.memberGone(node);
  }

  #peerOf(node: NodeId): Peer {
    let peer = this.#peers.get(node);
    if (peer === undefined) {
      peer = new Peer(node, this.membership.incarnationOf(node) ?? this.#options.incarnation);
      this.#peers.set(node, peer);
    }
    return peer;
  }

  #membersChanged(): void {
    if (this.#areMembersDue) return;
    this.#areMembersDue = true;
    this.#ports.clock.atTurnEnd(() => {
      this.#areMembersDue = false;
      if (!this.#isStopped) this.#ports.membersChanged(this.membership.members);
    });
  }
}
