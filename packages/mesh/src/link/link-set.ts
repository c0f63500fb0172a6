/**
 * At most one link per pair of nodes, however many streams are dialled.
 *
 * Both sides greet with HELLO, then tell with RESUME where their streams go on; after both RESUMEs the link is
 * established. Both nodes may dial. When two streams of one pair come up at about the same time, both ends keep the one
 * dialled by the lower node id, so they agree without talking about it. A stream that comes up long after the present
 * link means that the peer has lost that link without this side noticing: then the newcomer wins.
 * A direct stream always wins over one through a relay, which wins only as such a newcomer.
 * The loser is read for one more second, because the other end may not have changed over yet; numbered and versioned
 * frames make that harmless.
 *
 * Source: reference/design.md 3.5 (lower node id dials, double dial).
 */

import { ByteReader, type ByteWriter, type Clock, type NodeId, SkeinError, type Timer } from "@skein/kernel";
import { decodeHello, decodeResume, encodeHello, encodeResume } from "../codec.ts";
import {
  ECHO_MS,
  ECHO_OF_MANY_MS,
  FRAME_BYTES_MAX,
  HEARTBEAT_MS,
  HEARTBEAT_OF_MANY_MS,
  LINK_SILENCE_MAX_MS,
  MANY_LINKS,
  TICK_MS,
} from "../limits.ts";
import { Echo, FrameType, type Hello, type Resume } from "../messages.ts";
import { type Refusal, refusalOf } from "./handshake.ts";
import { Link, type LinkStream } from "./link.ts";
import {
  type Claim,
  decodeOutrun,
  decodeRightful,
  encodeRightful,
  isRightful,
  type Outrun,
  type Rightful,
} from "./twins.ts";

/** HELLO and RESUME must be through by then. */
const HANDSHAKE_TIMEOUT_MS = 5000;
/** Streams of one pair that come up within this time are a double dial. Longer than a dial may take. */
const DOUBLE_DIAL_MS = 5000;
const LINGER_MS = 1000;
/** A process that runs echoes by then. */
const PROBE_MAX_MS = 2500;
/**
 * A heartbeat is due half a tick early: what was written at the end of one tick is a little younger than the interval at the tick that
 * it is due, and would else slip to the next.
 */
const EARLY_MS = 0.5 * TICK_MS;
/** A heartbeat is answered unless something was said within this time before it. */
const JUST_SAID_MS = 250;
/** Streams in handshake. More are reset at once: whoever dials has a mesh key, but may be broken. */
const HANDSHAKES_MAX = 256;

export interface LinkSetOwner {
  /** A peer has said who it is. Returns what to say about its streams, or undefined if it must not have a link. */
  greeted(link: Link, hello: Hello): Resume | undefined;
  /** `link` is now the link to its peer; `replaced` was until now. */
  established(link: Link, resume: Resume, replaced: Link | undefined): void;
  /** A frame of an established link. `body` is valid during the call only. */
  received(link: Link, type: number, body: Uint8Array): void;
  aboutToWrite(link: Link): void;
  /** The peer has no link any more. */
  lost(link: Link, reason: string): void;
  refused(link: Link, refusal: Refusal): void;
  /** Two processes have the identity of `node`; the one with the better right is named. */
  twinsFound(node: NodeId, rightful: Rightful): void;
  /** Another process has the better right to this node's identity. */
  yielded(rightful: Rightful): void;
  /** The other end has had a link with a later process of this node. */
  outrun(by: Outrun): void;
  /** A link that never became established has ended, for whatever reason. */
  failed(link: Link, reason: string): void;
}

/** A second process under an id that is linked, until it is known whether the first still runs. */
interface Contest {
  readonly hello: Hello;
  readonly present: Link;
  readonly token: number;
  readonly timer: Timer;
  /** Came before it could be taken. It answers this node's HELLO, so the second process was there when that came. */
  readonly resume: Resume | undefined;
  /** The first has echoed. */
  readonly isPresentAlive: boolean;
}

export class LinkSet {
  readonly #own: () => Hello;
  readonly #clock: Clock;
  readonly #owner: LinkSetOwner;
  readonly #handshakes = new Set<Link>();
  readonly #lingering = new Set<Link>();
  readonly #active = new Map<NodeId, Link>();
  /** Links whose stream has not ended. */
  readonly #open = new Set<Link>();
  readonly #contests = new Map<Link, Contest>();
  #probes = 0;
  #allEnded: (() => void) | undefined;

  constructor(own: () => Hello, clock: Clock, owner: LinkSetOwner) {
    this.#own = own;
    this.#clock = clock;
    this.#owner = owner;
  }

  get active(): ReadonlyMap<NodeId, Link> {
    return this.#active;
  }

  /** Takes over a stream that was dialled or accepted, and greets. */
  add(stream: LinkStream, isDialled: boolean, address: string, relay?: NodeId): void {
    const link = new Link(stream, isDialled, address, this.#clock, {
      received: (from, type, body) => this.#received(from, type, body),
      aboutToWrite: (from) => this.#owner.aboutToWrite(from),
      closed: (from, reason) => this.#closed(from, reason),
      streamEnded: (from) => this.#streamEnded(from),
    });
    link.relay = relay;
    this.#open.add(link);
    this.#handshakes.add(link);
    encodeHello(this.#own(), link.beginFrame(FrameType.hello));
    link.endFrame();
    link.setDeadline(HANDSHAKE_TIMEOUT_MS, () => link.reset("handshake timed out"));
    link.start();
    if (this.#handshakes.size > HANDSHAKES_MAX) link.reset("too many handshakes");
  }

  /**
   * Writes heartbeats where nothing else was written and resets links that have been silent for too long.
   *
   * Who dialled sets the beat and the other end answers in the turn in which it reads it. So both hear each other as
   * often as if both beat by themselves, but answers come together and ride on acknowledgements: an idle node of twenty
   * wakes half as often.
   */
  tick(): void {
    const now = this.#clock.monotonicMs();
    const hasMany = this.#active.size >= MANY_LINKS;
    const [everyMs, echoMs] = hasMany ? [HEARTBEAT_OF_MANY_MS, ECHO_OF_MANY_MS] : [HEARTBEAT_MS, ECHO_MS];
    for (const link of [...this.#active.values()]) {
      // An accepted link beats by itself only when it was not asked in time.
      const beatMs = everyMs - (link.isDialled ? EARLY_MS : 0);
      if (now - link.receivedMs >= LINK_SILENCE_MAX_MS) link.reset("peer is silent");
      else if (link.roundTrip.isDue(now, echoMs)) {
        link.roundTrip.asked(now);
        link.beginFrame(FrameType.heartbeat).u8(Echo.request);
        link.endFrame();
      } else beatAfter(beatMs, link, now);
    }
  }

  /** Sends a frame to `to`, or to all that are linked. */
  tell(to: NodeId | undefined, type: number, write: (out: ByteWriter) => void): void {
    for (const [node, link] of this.#active) {
      if (to !== undefined && node !== to) continue;
      write(link.beginFrame(type));
      link.endFrame();
    }
  }

  /** Ends every link to `node`, handshakes included. */
  drop(node: NodeId, reason: string): void {
    for (const link of this.#all()) if (link.hello?.node === node) link.reset(reason);
  }

  /** Ends all links after what was said has gone out; calls `done` when that is so, or a second later. */
  end(done: () => void): void {
    for (const link of this.#all()) link.end("node stops");
    if (this.#open.size === 0) done();
    else this.#allEnded = done;
  }

  #all(): Link[] {
    return [...this.#active.values(), ...this.#lingering, ...this.#handshakes];
  }

  #received(link: Link, type: number, body: Uint8Array): void {
    if (type === FrameType.yield) {
      const rightful = decodeRightful(new ByteReader(body));
      link.end("it says that this node's identity is another's");
      this.#owner.yielded(rightful);
    } else if (type === FrameType.outrun) {
      const by = decodeOutrun(new ByteReader(body));
      link.end("it knows a later process of this node");
      this.#owner.outrun(by);
    } else if (link.isEstablished && type === FrameType.probe) {
      this.#probed(link, new ByteReader(body));
    } else if (link.isEstablished) {
      this.#owner.received(link, type, body);
      if (type === FrameType.heartbeat && !link.isDialled) {
        beatAfter(JUST_SAID_MS, link, this.#clock.monotonicMs());
      }
    } else if (type === FrameType.hello && link.hello === undefined) {
      this.#greeted(link, decodeHello(body));
    } else if (type === FrameType.resume && this.#contests.has(link)) {
      this.#contested(link, { resume: decodeResume(body) });
    } else if (type === FrameType.resume && link.hello !== undefined) {
      this.#established(link, link.hello.node, decodeResume(body));
    } else {
      throw new SkeinError("ERR_SKEIN_MALFORMED", `Cannot greet: frame type ${type} out of order`);
    }
  }

  #greeted(link: Link, hello: Hello): void {
    const refusal = refusalOf(this.#own(), hello);
    if (refusal !== undefined) {
      this.#owner.refused(link, refusal);
      if (refusal.kind === "clone") this.#twinMet(link, hello);
      link.end(refusal.text);
      return;
    }
    link.greetedMs = this.#clock.monotonicMs();
    const present = this.#active.get(hello.node);
    if (present === undefined || present.hello?.nonce === hello.nonce) this.#admit(link, hello);
    else this.#contest(link, hello, present);
  }

  /** The other end has this node's own identity. Both ends compare, and come to the same result. */
  #twinMet(link: Link, hello: Hello): void {
    const now = this.#clock.monotonicMs();
    const own = this.#own();
    const isOwn = isRightful(claim(own, now), claim(hello, now));
    if (isOwn) tellYield(link, { name: own.name, address: "" });
    else this.#owner.yielded({ name: hello.name, address: link.address });
  }

  /** `hello` comes under an id that is linked, from another process: does that one still run? */
  #contest(link: Link, hello: Hello, present: Link): void {
    const token = ++this.#probes;
    const timer = this.#clock.after(PROBE_MAX_MS, () => this.#succeed(link));
    const isPresentAlive = false;
    this.#contests.set(link, { hello, present, token, timer, resume: undefined, isPresentAlive });
    present.beginFrame(FrameType.probe).u8(0).u32(token);
    present.endFrame();
  }

  #probed(link: Link, input: ByteReader): void {
    const isEcho = input.u8() === 1;
    const token = input.u32();
    if (!isEcho) {
      link.beginFrame(FrameType.probe).u8(1).u32(token);
      link.endFrame();
      return;
    }
    for (const [candidate, contest] of this.#contests)
      if (contest.present === link && contest.token === token)
        this.#contested(candidate, { isPresentAlive: true });
  }

  /** One of the two of a contest has shown that it runs; if both have, one must yield. */
  #contested(link: Link, shown: Partial<Contest>): void {
    const contest = { ...(this.#contests.get(link) as Contest), ...shown };
    this.#contests.set(link, contest);
    if (!contest.isPresentAlive) return;
    contest.timer.cancel();
    const { hello, present, resume } = contest;
    const first = present.hello;
    if (first === undefined || resume === undefined) return;
    this.#contests.delete(link);
    if (link.begunMs < present.greetedMs) {
      link.end("may come from a process that has ended; one that runs dials again");
      return;
    }
    const isFirst = isRightful(claim(first, present.greetedMs), claim(hello, link.greetedMs));
    const [winner, loser] = isFirst ? [present, link] : [link, present];
    const rightful = { name: (isFirst ? first : hello).name, address: winner.address };
    this.#owner.twinsFound(hello.node, rightful);
    tellYield(loser, rightful);
    loser.end("another process has the better right to its identity");
    if (!isFirst) this.#takePlace(link, hello, resume);
  }

  /** The first of a contest does not run any more. */
  #succeed(link: Link): void {
    const contest = this.#contests.get(link);
    if (contest === undefined) return;
    const { hello, present, resume, timer } = contest;
    timer.cancel();
    this.#contests.delete(link);
    present.reset("another process has taken its place");
    this.#takePlace(link, hello, resume);
  }

  #takePlace(link: Link, hello: Hello, resume: Resume | undefined): void {
    this.#admit(link, hello);
    if (resume !== undefined && !link.isClosed) this.#established(link, hello.node, resume);
  }

  #admit(link: Link, hello: Hello): void {
    const resume = this.#owner.greeted(link, hello);
    if (resume === undefined) {
      link.end("refused");
      return;
    }
    link.hello = hello;
    encodeResume(resume, link.beginFrame(FrameType.resume));
    link.endFrame();
  }

  #established(link: Link, node: NodeId, resume: Resume): void {
    this.#handshakes.delete(link);
    link.clearDeadline();
    link.isEstablished = true;
    link.establishedMs = this.#clock.monotonicMs();
    link.allowFrames(FRAME_BYTES_MAX);
    const present = this.#active.get(node);
    if (present !== undefined && !this.#replaces(link, present, node)) {
      this.#linger(link);
      return;
    }
    this.#active.set(node, link);
    if (present !== undefined) this.#linger(present);
    this.#owner.established(link, resume, present);
  }

  #replaces(candidate: Link, present: Link, node: NodeId): boolean {
    const isLater = candidate.establishedMs - present.establishedMs > DOUBLE_DIAL_MS;
    if ((candidate.relay === undefined) !== (present.relay === undefined))
      return candidate.relay === undefined || isLater;
    if (candidate.isDialled === present.isDialled || isLater) return true;
    return candidate.isDialled === this.#own().node < node;
  }

  #linger(link: Link): void {
    this.#lingering.add(link);
    link.setDeadline(LINGER_MS, () => link.end("replaced by another link"));
  }

  #streamEnded(link: Link): void {
    this.#open.delete(link);
    if (this.#open.size === 0) this.#allEnded?.();
  }

  #closed(link: Link, reason: string): void {
    this.#contests.get(link)?.timer.cancel();
    this.#contests.delete(link);
    // Not within what ends it.
    for (const [candidate, { present }] of this.#contests)
      if (present === link) this.#clock.atTurnEnd(() => this.#succeed(candidate));
    if (this.#lingering.delete(link)) return;
    if (this.#handshakes.delete(link)) {
      this.#owner.failed(link, reason);
      return;
    }
    const node = link.hello?.node;
    if (node === undefined || this.#active.get(node) !== link) return;
    this.#active.delete(node);
    this.#owner.lost(link, reason);
  }
}

/** `atMs`: when `hello` was said. */
function claim(hello: Hello, atMs: number): Claim {
  return { hello, startedMs: atMs - hello.uptimeMs };
}

function tellYield(link: Link, rightful: Rightful): void {
  encodeRightful(rightful, link.beginFrame(FrameType.yield));
  link.endFrame();
}

/** Writes a heartbeat if the link has carried nothing for `silenceMs` and nothing waits to be written. */
function beatAfter(silenceMs: number, link: Link, now: number): void {
  if (now - link.writtenMs < silenceMs || link.unsentBytes > 0) return;
  link.beginFrame(FrameType.heartbeat);
  link.endFrame();
}
