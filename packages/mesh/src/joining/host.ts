/**
 * Lets newcomers in: the door at the listener of the links, and what is said to who comes through it.
 *
 * An attempt counts as failed from the moment a caller names an invitation until it has proved the secret, so that one that
 * breaks off early has been counted. Whoever proves the secret of an invitation that is closed hears why; anybody else hears
 * nothing. The node that made an invitation says who may use it, as long as it is linked: two newcomers with one code at two
 * nodes do not both get in. When it is not, the node that was asked decides and tells all it can reach.
 *
 * Source: architecture.md section 7.
 */

import {
  type Clock,
  GUEST_PREFIX,
  type GuestDoor,
  type Log,
  type NodeId,
  type Stream,
  type Timer,
} from "@skein/kernel";
import { isSpokenByBoth, SPOKEN_VERSIONS } from "../link/protocol-version.ts";
import { Attempts } from "./attempts.ts";
import { hintText } from "./hint.ts";
import { Invitations } from "./invitations.ts";
import {
  type Ask,
  decodeAsk,
  encodeRefused,
  encodeWelcome,
  JoinFrame,
  type JoiningMessage,
  type JoinReason,
} from "./join-messages.ts";
import { JoinStream } from "./join-stream.ts";

/** A newcomer on a slow machine has stretched its code before this begins. */
const CONVERSATION_MAX_MS = 5000;
/** The node that made the invitation must answer by then, or it counts as not reachable. */
const CLAIM_MAX_MS = 1500;
/** Newcomers that are being talked to. */
const CONVERSATIONS_MAX = 8;

/** What the program has to say about joining. */
export interface JoiningSettings {
  /** What codes of this mesh are stretched with: 16 hexadecimal digits, the same at each of its nodes, not secret. */
  readonly salt: string;
  /** What the program gives a newcomer; undefined: not yet. */
  readonly document: () => Uint8Array | undefined;
}

export interface JoinHostOptions extends JoiningSettings {
  readonly node: NodeId;
  readonly mesh: string;
  /** Human name of this node. */
  readonly name: string;
}

export interface JoinHostPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly isLinked: (node: NodeId) => boolean;
  /** Undefined: to all that are linked. */
  readonly send: (to: NodeId | undefined, message: JoiningMessage) => void;
  /** An invitation has come or gone: others can see on the network whether there is one. */
  readonly invitationsChanged: () => void;
}

export class JoinHost implements GuestDoor {
  readonly invitations: Invitations;
  readonly #options: JoinHostOptions;
  readonly #ports: JoinHostPorts;
  readonly #attempts: Attempts;
  readonly #conversations = new Set<JoinStream>();
  /** Claims that wait for the answer of the node that made the invitation. */
  readonly #claims = new Map<
    number,
    { readonly decide: (isGranted: boolean) => void; readonly timer: Timer }
  >();

  constructor(options: JoinHostOptions, ports: JoinHostPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#attempts = new Attempts(ports.clock);
    this.invitations = new Invitations(options.node, ports.clock, () => this.#changed());
  }

  hint(remoteAddress: string): string | undefined {
    this.invitations.tick();
    if (this.invitations.standing === undefined) return undefined;
    const seconds = this.#attempts.waitSeconds(remoteAddress);
    return hintText(seconds > 0 ? { kind: "wait", seconds } : { kind: "salt", salt: this.#options.salt });
  }

  secretOf(identity: string, remoteAddress: string): Uint8Array | undefined {
    if (this.#attempts.waitSeconds(remoteAddress) > 0) return undefined;
    this.#attempts.count(remoteAddress);
    this.invitations.attempted();
    const secret = this.invitations.get(tagOf(identity))?.secret;
    if (secret === undefined)
      this.#ports.log.warn({ from: remoteAddress }, "attempt to join with a wrong code");
    return secret;
  }

  accepted(stream: Stream, identity: string): void {
    this.#attempts.takeBack(stream.remoteAddress);
    this.invitations.proved();
    if (this.#conversations.size >= CONVERSATIONS_MAX) {
      stream.reset();
      return;
    }
    const conversation = new JoinStream(stream, this.#ports.clock, CONVERSATION_MAX_MS, {
      received: (type, body) => {
        if (type !== JoinFrame.ask) conversation.reset("out of order");
        else this.#asked(conversation, stream.remoteAddress, tagOf(identity), decodeAsk(body));
      },
      ended: () => this.#conversations.delete(conversation),
    });
    this.#conversations.add(conversation);
    conversation.start();
  }

  /** A node that is linked says something about invitations. */
  receive(from: NodeId, message: JoiningMessage): void {
    if (message.kind === "told") this.invitations.learn(message.invitations);
    else if (message.kind === "claim") {
      const isGranted = this.invitations.use(message.tag, message.newcomer);
      this.#ports.send(from, { kind: "answer", tag: message.tag, isGranted });
    } else this.#claims.get(message.tag)?.decide(message.isGranted);
  }

  /** The link to `node` is up. */
  linked(node: NodeId): void {
    const invitations = this.invitations.told();
    if (invitations.length > 0) this.#ports.send(node, { kind: "told", invitations });
  }

  stop(): void {
    for (const conversation of [...this.#conversations]) conversation.reset("node stops");
    for (const { timer } of this.#claims.values()) timer.cancel();
    this.#claims.clear();
  }

  #asked(conversation: JoinStream, from: string, tag: number, ask: Ask): void {
    const document = this.#options.document();
    this.invitations.tick();
    const invitation = this.invitations.get(tag);
    if (!isSpokenByBoth(SPOKEN_VERSIONS, ask.versions)) this.#refuse(conversation, from, "version");
    else if (document === undefined) this.#refuse(conversation, from, "notReady");
    else if (invitation === undefined) this.#refuse(conversation, from, "expired");
    else if (invitation.state !== "open") this.#refuse(conversation, from, invitation.state);
    else {
      this.#claim(tag, invitation.inviter, ask.name, (isGranted) => {
        if (!isGranted) this.#refuse(conversation, from, "used");
        else if (this.#conversations.has(conversation)) this.#welcome(conversation, from, ask.name, document);
      });
    }
  }

  /** Asks the node that made the invitation whether `newcomer` may use it. */
  #claim(tag: number, inviter: NodeId, newcomer: string, decide: (isGranted: boolean) => void): void {
    if (inviter === this.#options.node || !this.#ports.isLinked(inviter)) {
      decide(this.invitations.use(tag, newcomer));
      return;
    }
    if (this.#claims.has(tag)) {
      decide(false);
      return;
    }
    const settle = (isGranted: boolean): void => {
      this.#claims.get(tag)?.timer.cancel();
      this.#claims.delete(tag);
      decide(isGranted);
    };
    const timer = this.#ports.clock.after(CLAIM_MAX_MS, () => settle(this.invitations.use(tag, newcomer)));
    this.#claims.set(tag, { timer, decide: settle });
    this.#ports.send(inviter, { kind: "claim", tag, newcomer });
  }

  #welcome(conversation: JoinStream, from: string, newcomer: string, document: Uint8Array): void {
    const { mesh, name } = this.#options;
    conversation.send(JoinFrame.welcome, (out) => encodeWelcome({ mesh, host: name, document }, out));
    conversation.end();
    this.#ports.log.info({ newcomer, from }, "newcomer let in by invitation");
  }

  #refuse(conversation: JoinStream, from: string, reason: JoinReason): void {
    conversation.send(JoinFrame.refused, (out) => encodeRefused(reason, out));
    conversation.end();
    this.#ports.log.warn({ from, reason }, "newcomer refused");
  }

  #changed(): void {
    this.#ports.invitationsChanged();
    this.#ports.send(undefined, { kind: "told", invitations: this.invitations.told() });
  }
}

/** `join:7f`; -1: of another form. */
function tagOf(identity: string): number {
  const digits = identity.slice(GUEST_PREFIX.length);
  return /^[0-9a-f]{2}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
}
