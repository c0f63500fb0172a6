/**
 * Which addresses are dialled, and when.
 *
 * Two kinds of targets: an address an operator configured, dialled for ever; and a node heard of (mDNS, gossip, the
 * peers of last time) with the addresses it was seen at, tried in turn. A target whose node has a link rests. Failures
 * back off exponentially with jitter, so that a mesh that starts all at once does not dial in step.
 * The floating address is never dialled (whoever holds it answers, reference/design.md trap 13), nor this node itself.
 */

import type { Clock, LinkTransport, NodeId, Prng, Stream, Timer } from "@skein/kernel";
import { splitAddress } from "./address.ts";

const DIAL_TIMEOUT_MS = 3000;
const BACKOFF_FIRST_MS = 200;
const BACKOFF_STATIC_MAX_MS = 5000;
/** A node that was only heard of and does not answer is tried more seldom than one an operator named. */
const BACKOFF_HEARD_MAX_MS = 30_000;
/** The node with the higher id lets the other one dial first: most double dials never happen. */
const HIGHER_ID_DELAY_MS = 400;
const TARGETS_MAX = 1024;
/** Addresses kept per node; the oldest gives way. */
const ADDRESSES_MAX = 8;

export interface DialerOptions {
  readonly own: NodeId;
  readonly peers: readonly string[];
  readonly excludedAddresses: readonly string[];
  readonly isLinked: (node: NodeId) => boolean;
  /** Whether `host:port` is this node's own listener. */
  readonly isOwnAddress: (address: string) => boolean;
  readonly dialled: (stream: Stream, address: string) => void;
  readonly failed: (address: string, error: Error, isStatic: boolean) => void;
}

interface Target {
  readonly isStatic: boolean;
  /** Who answers there; for a configured address known after its first link. */
  node: NodeId | undefined;
  readonly addresses: string[];
  /** It has had a link since this node started: worth remembering, and never given up for another. */
  hasLinked: boolean;
  nextAddress: number;
  failures: number;
  timer: Timer | undefined;
  cancelDial: (() => void) | undefined;
}

export class Dialer {
  readonly #options: DialerOptions;
  readonly #transport: LinkTransport;
  readonly #clock: Clock;
  readonly #prng: Prng;
  readonly #static: Target[] = [];
  readonly #heard = new Map<NodeId, Target>();
  readonly #selfAddresses = new Set<string>();
  #isStopped = false;

  constructor(options: DialerOptions, transport: LinkTransport, clock: Clock, prng: Prng) {
    this.#options = options;
    this.#transport = transport;
    this.#clock = clock;
    this.#prng = prng;
  }

  start(): void {
    for (const address of this.#options.peers) {
      const target = newTarget(true, undefined, address);
      this.#static.push(target);
      this.#schedule(target, this.#prng.below(50));
    }
  }

  stop(): void {
    this.#isStopped = true;
    for (const target of this.#targets()) this.#cancel(target);
  }

  /** `node` may be reached at `address`. `isFresh`: it says so itself right now, so an old backoff is void. */
  learn(node: NodeId, address: string, isFresh: boolean): void {
    if (node === this.#options.own || !this.#isDialable(address)) return;
    let target = this.#heard.get(node);
    if (target === undefined) {
      if (this.#heard.size >= TARGETS_MAX && !this.#makeRoom()) return;
      target = newTarget(false, node, address);
      this.#heard.set(node, target);
      this.#schedule(target, this.#firstDelay(node));
      return;
    }
    if (!target.addresses.includes(address)) {
      target.addresses.push(address);
      if (target.addresses.length > ADDRESSES_MAX) target.addresses.shift();
    } else if (!isFresh || target.failures === 0) return;
    target.failures = 0;
    if (!this.#options.isLinked(node)) this.#schedule(target, this.#firstDelay(node));
  }

  /**
   * `node` answered at `address`: a configured address has a name now, and who else was heard of there is there no more. That one may be
   * gone for ever (a wiped directory makes a new node of a machine), and would else be dialled, and its successor greeted, for as long.
   */
  answered(node: NodeId, address: string): void {
    for (const target of this.#targets()) {
      if (target.isStatic && target.addresses[0] === address) target.node = node;
      if (target.node === node) target.failures = 0;
      else this.#withdraw(address, target);
    }
  }

  /** The link to `node` is up, and others reach it at `address`: the one to begin with next time. */
  linked(node: NodeId, address: string): void {
    this.learn(node, address, false);
    const target = this.#heard.get(node);
    if (target === undefined) return;
    target.hasLinked = true;
    const at = target.addresses.indexOf(address);
    if (at === -1) return;
    target.addresses.push(...target.addresses.splice(at, 1));
    target.nextAddress = target.addresses.length - 1;
  }

  /** The link to `node` is gone: dial again, at once. */
  lost(node: NodeId): void {
    for (const target of this.#targets()) {
      if (target.node !== node) continue;
      target.failures = 0;
      this.#schedule(target, this.#firstDelay(node));
    }
  }

  /** `node` has left or is forgotten: only configured addresses are dialled on. */
  forget(node: NodeId): void {
    const target = this.#heard.get(node);
    if (target === undefined) return;
    this.#cancel(target);
    this.#heard.delete(node);
  }

  /** `address` turned out to lead back to this node. */
  isSelf(address: string): void {
    this.#selfAddresses.add(address);
    for (const target of this.#targets()) this.#withdraw(address, target);
  }

  /** Nodes that had a link, each with the address that was best, for the next start. */
  remembered(): ReadonlyMap<NodeId, string> {
    const found = new Map<NodeId, string>();
    for (const [node, target] of this.#heard) {
      const address = target.addresses.at(-1);
      if (address !== undefined && target.hasLinked) found.set(node, address);
    }
    return found;
  }

  /** Whoever `target` was heard of is not at `address`. */
  #withdraw(address: string, { isStatic, node, addresses }: Target): void {
    const at = addresses.indexOf(address);
    if (at === -1 || isStatic || node === undefined) return;
    addresses.splice(at, 1);
    if (addresses.length === 0) this.forget(node);
  }

  #targets(): Target[] {
    return [...this.#static, ...this.#heard.values()];
  }

  /** Multicast is not authenticated: nodes that only somebody spoke of give way when the table is full. */
  #makeRoom(): boolean {
    for (const [node, target] of this.#heard) {
      if (target.hasLinked) continue;
      this.forget(node);
      return true;
    }
    return false;
  }

  #isDialable(address: string): boolean {
    const parts = splitAddress(address);
    if (parts === undefined || parts.port === 0) return false;
    if (this.#options.excludedAddresses.includes(parts.host)) return false;
    return !this.#selfAddresses.has(address) && !this.#options.isOwnAddress(address);
  }

  #firstDelay(node: NodeId): number {
    return this.#prng.below(50) + (this.#options.own > node ? HIGHER_ID_DELAY_MS : 0);
  }

  #schedule(target: Target, delayMs: number): void {
    if (this.#isStopped || target.cancelDial !== undefined) return;
    target.timer?.cancel();
    target.timer = this.#clock.after(delayMs, () => this.#dial(target));
  }

  #dial(target: Target): void {
    target.timer = undefined;
    if (target.node !== undefined && this.#options.isLinked(target.node)) return;
    const address = target.addresses[target.nextAddress % target.addresses.length];
    if (address === undefined || !this.#isDialable(address) || this.#isDialledAlready(target)) {
      this.#retry(target);
      return;
    }
    target.nextAddress++;
    target.cancelDial = this.#transport.dial(address, DIAL_TIMEOUT_MS, (result) => {
      target.cancelDial = undefined;
      if (this.#isStopped) {
        if (!(result instanceof Error)) result.reset();
        return;
      }
      if (result instanceof Error) this.#options.failed(address, result, target.isStatic);
      else this.#options.dialled(result, address);
      // Also after success: if the handshake comes to nothing, the next look finds no link and dials again.
      this.#retry(target);
    });
  }

  #isDialledAlready(target: Target): boolean {
    if (target.node === undefined) return false;
    return this.#targets().some((other) => other.node === target.node && other.cancelDial !== undefined);
  }

  #retry(target: Target): void {
    const most = target.isStatic ? BACKOFF_STATIC_MAX_MS : BACKOFF_HEARD_MAX_MS;
    const delay = Math.min(most, BACKOFF_FIRST_MS * 2 ** Math.min(target.failures, 16));
    target.failures++;
    // Between half and all of the delay: nodes that failed together do not try again together.
    this.#schedule(target, Math.ceil(delay / 2) + this.#prng.below(Math.ceil(delay / 2)));
  }

  #cancel(target: Target): void {
    target.timer?.cancel();
    target.timer = undefined;
    target.cancelDial?.();
    target.cancelDial = undefined;
  }
}

function newTarget(isStatic: boolean, node: NodeId | undefined, address: string): Target {
  return {
    isStatic,
    node,
    addresses: [address],
    hasLinked: false,
    nextAddress: 0,
    failures: 0,
    timer: undefined,
    cancelDial: undefined,
  };
}
