/**
 * Takes in clients that the holder of the floating address passes on to this node.
 *
 * They come to the link port, where a PROXY header differs from a TLS handshake in its first byte: no further port, no further
 * rule in a firewall, and a node that does not know this refuses it as no link. What is said first is in pass-messages.ts. From
 * then on the socket is the client's: the listener of its protocol serves it as if it had come there.
 *
 * A claim must be proved in time, and the node may refuse it (it is stopping, or has no such listener): the socket is reset and
 * the holder serves the client itself.
 */

import type { Socket } from "node:net";
import type { ProxyHeader } from "@skein/kernel";
import { joinHostPort } from "../sockets/host-port.ts";
import { setEnds } from "../sockets/socket-ends.ts";
import { type Claim, encodeNonce, type Nonces, newNonce, nonceOf, PassProofs } from "./pass-messages.ts";
import { readHeader } from "./read-header.ts";

/** Time for both messages of the holder; more than it waits itself. */
const CLAIM_TIMEOUT_MS = 2000;
/** Claims not proved yet. More are reset at once: they may be a stranger's. */
const CLAIMS_MAX = 256;

export interface PassEntryOptions {
  /** The mesh key. */
  readonly key: Uint8Array;
  /** Id of this node. */
  readonly node: string;
  /** Whether a client of that claim is wanted: what serves it, or undefined. */
  readonly server: (claim: Claim) => ((socket: Socket) => void) | undefined;
}

export class PassEntry {
  readonly #options: PassEntryOptions;
  readonly #proofs: PassProofs;
  readonly #claims = new Set<Socket>();
  /** By holder. */
  readonly #taken = new Map<string, Set<Socket>>();

  constructor(options: PassEntryOptions) {
    this.#options = options;
    this.#proofs = new PassProofs(options.key);
  }

  /** `socket` has begun with a PROXY header. `refused` is called if it did not come from a member, with the reason. */
  take(socket: Socket, refused: (reason: string) => void): void {
    const over = (): void => {
      clearTimeout(timer);
      this.#claims.delete(socket);
    };
    const refuse = (reason: string): void => {
      over();
      socket.resetAndDestroy();
      refused(reason);
    };
    const malformed = (): void => refuse("its PROXY header is malformed");
    const timer = setTimeout(() => refuse("it did not prove the mesh key in time"), CLAIM_TIMEOUT_MS);
    this.#claims.add(socket);
    // The end that follows an error says enough.
    socket.on("error", () => undefined);
    socket.once("close", over);
    if (this.#claims.size > CLAIMS_MAX) {
      refuse("too many callers at once");
      return;
    }
    const claimed = (header: ProxyHeader, bytes: Uint8Array, nonces: Nonces): void => {
      const claim = this.#proofs.checkClaim(header, bytes, nonces, this.#options.node);
      if (claim === undefined) {
        refuse("it sent a PROXY header with a wrong proof of the mesh key");
        return;
      }
      over();
      const serve = this.#options.server(claim);
      if (serve === undefined) {
        socket.resetAndDestroy();
        return;
      }
      socket.write(this.#proofs.encodeAcceptance(bytes, nonces));
      this.#serve(socket, claim, serve);
    };
    const greeted = (header: ProxyHeader): void => {
      const hello = nonceOf(header);
      if (hello === undefined) {
        refuse("it sent a PROXY header without proof of the mesh key");
        return;
      }
      const nonces = { hello, challenge: newNonce() };
      socket.write(encodeNonce(nonces.challenge));
      readHeader(socket, (second, bytes) => claimed(second, bytes, nonces), malformed);
    };
    readHeader(socket, greeted, malformed);
  }

  /** `holder` is gone: so are the clients behind it, and nobody else would tell. */
  resetFrom(holder: string): void {
    for (const socket of this.#taken.get(holder) ?? []) socket.resetAndDestroy();
  }

  #serve(socket: Socket, claim: Claim, serve: (socket: Socket) => void): void {
    const { source, destination, holder } = claim;
    setEnds(socket, {
      remoteAddress: joinHostPort(source.address, source.port),
      localAddress: destination.address,
    });
    const sockets = this.#taken.get(holder) ?? new Set();
    this.#taken.set(holder, sockets.add(socket));
    socket.once("close", () => {
      sockets.delete(socket);
      if (sockets.size === 0) this.#taken.delete(holder);
    });
    serve(socket);
  }
}
