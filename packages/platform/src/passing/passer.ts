/**
 * Passes connections of clients on to other nodes: the side of the node that holds the floating address.
 *
 * Until the other node has proved that it is a member and takes the connection, nothing is read from the client. So whatever goes
 * wrong before is no harm: the client's connection is given back untouched, and is served here (P11). Few are opened to one
 * node at a time and the rest wait their turn, because after a fail-over all clients come within a second; where one finds no
 * answer those behind it do not wait for theirs.
 */

import { connect, type Socket } from "node:net";
import { joinHostPort, plainAddress, splitHostPort } from "../sockets/host-port.ts";
import { joinSockets } from "./join-sockets.ts";
import {
  type Claim,
  type ClientProtocol,
  encodeNonce,
  newNonce,
  nonceOf,
  PassProofs,
} from "./pass-messages.ts";
import { readHeader } from "./read-header.ts";

/** Time from `pass` to the other node's acceptance; then the client is served here. */
const PASS_TIMEOUT_MS = 1000;
/** Opened to one node at a time. */
const OPENING_MAX = 16;
/** Waiting to be opened to one node; more are served here. */
const WAITING_MAX = 1024;
const KEEP_ALIVE_MS = 60_000;

export interface PasserOptions {
  /** The mesh key. */
  readonly key: Uint8Array;
  /** Id of this node. */
  readonly node: string;
}

export interface PassTarget {
  readonly node: string;
  /** `host:port` of its link listener. */
  readonly address: string;
}

/** One connection on its way. */
interface Pass {
  readonly client: Socket;
  readonly claim: Claim;
  readonly target: PassTarget;
  readonly notTaken: (reason: string) => void;
  /** What the client's socket was before. */
  readonly allowHalfOpen: boolean;
  readonly timer: NodeJS.Timeout;
  /** Takes off what was hung on the client's socket. */
  readonly letGo: () => void;
  server: Socket | undefined;
  isOver: boolean;
}

/** The way to one node. */
interface Way {
  readonly opening: Set<Pass>;
  waiting: Pass[];
  readonly passed: Set<Socket>;
}

export class Passer {
  readonly #options: PasserOptions;
  readonly #proofs: PassProofs;
  readonly #ways = new Map<string, Way>();
  /** Clients that other nodes serve through this one. */
  readonly #clients = new Set<Socket>();

  constructor(options: PasserOptions) {
    this.#options = options;
    this.#proofs = new PassProofs(options.key);
  }

  /** The clients that other nodes serve through this one: where they are, and the ports they came in on. */
  *connections(): Iterable<{ readonly remoteAddress: string; readonly serverPort: number }> {
    for (const { remoteAddress, remotePort = 0, localPort = 0 } of this.#clients) {
      if (remoteAddress === undefined) continue;
      yield { remoteAddress: joinHostPort(plainAddress(remoteAddress), remotePort), serverPort: localPort };
    }
  }

  /** How many clients `node` serves through this one; without `node`: all other nodes together. */
  count(node?: string): number {
    return node === undefined ? this.#clients.size : (this.#ways.get(node)?.passed.size ?? 0);
  }

  /** Passes `client`, from which nothing has been read, on to `target`. `notTaken`: it is still as it was, serve it here. */
  pass(
    client: Socket,
    protocol: ClientProtocol,
    target: PassTarget,
    notTaken: (reason: string) => void,
  ): void {
    const { remoteAddress, remotePort = 0, localAddress, localPort = 0 } = client;
    const claim: Claim = {
      source: { address: plainAddress(remoteAddress), port: remotePort },
      destination: { address: plainAddress(localAddress), port: localPort },
      protocol,
      holder: this.#options.node,
    };
    const way = this.#wayTo(target.node);
    const gone = (): void => this.#end(pass);
    const pass: Pass = {
      client,
      claim,
      target,
      notTaken,
      allowHalfOpen: client.allowHalfOpen,
      timer: setTimeout(() => this.#failNode(pass, "no answer in time"), PASS_TIMEOUT_MS),
      letGo: () => client.off("close", gone),
      server: undefined,
      isOver: false,
    };
    client.once("close", gone);
    // Whoever has the socket next listens too; until then a reset must not end the process.
    client.on("error", () => undefined);
    // Before its end is noticed: after the pass each direction ends by itself.
    client.allowHalfOpen = true;
    if (way.opening.size < OPENING_MAX) this.#open(pass);
    else if (way.waiting.length < WAITING_MAX) way.waiting.push(pass);
    else this.#giveBack(pass, "too many at once");
  }

  /** Resets all clients that others serve through this node: the address goes. */
  resetAll(): void {
    for (const client of [...this.#clients]) client.resetAndDestroy();
    for (const { opening, waiting } of [...this.#ways.values()])
      for (const { client } of [...opening, ...waiting]) client.resetAndDestroy();
  }

  /** `node` is gone, which no packet would tell: its clients are reset and come back. */
  resetTo(node: string): void {
    for (const client of [...(this.#ways.get(node)?.passed ?? [])]) client.resetAndDestroy();
  }

  #open(pass: Pass): void {
    const { target, client } = pass;
    this.#wayTo(target.node).opening.add(pass);
    const { host, port } = splitHostPort(target.address) ?? { host: "", port: 0 };
    const server = connect({
      host,
      port,
      noDelay: true,
      allowHalfOpen: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    pass.server = server;
    const hello = newNonce();
    const failed = (): void => this.#failNode(pass, "it closed the connection");
    const misspoke = (): void => this.#failNode(pass, "it does not speak the language of passed connections");
    server.on("error", () => undefined);
    server.once("close", failed);
    server.write(encodeNonce(hello));
    readHeader(
      server,
      (header) => {
        const challenge = nonceOf(header);
        if (challenge === undefined) {
          misspoke();
          return;
        }
        const nonces = { hello, challenge };
        const claim = this.#proofs.encodeClaim(pass.claim, nonces, target.node);
        server.write(claim);
        readHeader(
          server,
          (answer) => {
            if (!this.#proofs.isAcceptance(answer, claim, nonces)) {
              misspoke();
              return;
            }
            server.off("close", failed);
            this.#settle(pass);
            this.#join(client, server, target.node);
          },
          misspoke,
        );
      },
      misspoke,
    );
  }

  #join(client: Socket, server: Socket, node: string): void {
    const { passed } = this.#wayTo(node);
    passed.add(client);
    this.#clients.add(client);
    joinSockets(client, server, () => {
      passed.delete(client);
      this.#clients.delete(client);
    });
  }

  /** The node does not take connections: nobody need wait for it. */
  #failNode(pass: Pass, reason: string): void {
    if (pass.isOver) return;
    const way = this.#wayTo(pass.target.node);
    const waiting = way.waiting.splice(0);
    for (const each of [pass, ...waiting]) this.#giveBack(each, reason);
  }

  #giveBack(pass: Pass, reason: string): void {
    const { client, notTaken, allowHalfOpen } = pass;
    this.#end(pass);
    if (client.destroyed) return;
    client.allowHalfOpen = allowHalfOpen;
    notTaken(reason);
  }

  /** Nothing will come of `pass`. */
  #end(pass: Pass): void {
    this.#settle(pass);
    pass.server?.destroy();
  }

  /** `pass` is over, and the next one has its turn. */
  #settle(pass: Pass): void {
    pass.isOver = true;
    clearTimeout(pass.timer);
    pass.letGo();
    const way = this.#wayTo(pass.target.node);
    way.opening.delete(pass);
    way.waiting = way.waiting.filter((other) => other !== pass);
    const next = way.opening.size < OPENING_MAX ? way.waiting.shift() : undefined;
    if (next !== undefined) this.#open(next);
  }

  #wayTo(node: string): Way {
    let way = this.#ways.get(node);
    if (way === undefined) {
      way = { opening: new Set(), waiting: [], passed: new Set() };
      this.#ways.set(node, way);
    }
    return way;
  }
}
