/**
 * TLS for clients: the certificate in use, and what becomes of handshakes.
 *
 * The certificate can be replaced while listeners are open: connections that are made live on, the next handshake gets the new one.
 * With a client CA every client must show a certificate which that CA has signed; who it says the client is becomes
 * the stream's identity. Handshakes are bounded in number and time: until one is done the other end is a stranger who makes us
 * compute. Nothing is ever answered to who fails, except what TLS itself says.
 *
 * Source: RFC 8446 and RFC 5246; RFC 9325 (no renegotiation, nothing below TLS 1.2).
 */

import { constants } from "node:crypto";
import type { Socket } from "node:net";
import type { Server, TLSSocket, TlsOptions } from "node:tls";
import { type IdentityKind, identityIn } from "./certificate-identity.ts";
import type { TlsMaterial } from "./certificates.ts";
import { certificateFailure, handshakeFailure } from "./handshake-failure.ts";
import { joinHostPort, plainAddress } from "./host-port.ts";
import { resetSocket } from "./reset-socket.ts";
import { endsOf, type SocketEnds, setEnds } from "./socket-ends.ts";

/** Time a client has for its handshake; small devices take seconds. */
const HANDSHAKE_TIMEOUT_MS = 20_000;
/** Clients of one listener that are at it at the same time. More are reset: after a fail-over all come at once. */
const HANDSHAKES_MAX = 1024;

type Refused = (remoteAddress: string, reason: string) => void;

export class ClientTls {
  readonly #identity: IdentityKind;
  readonly #handshakeTimeoutMs: number;
  readonly #servers = new Set<Server>();
  #material: TlsMaterial;

  /** `handshakeTimeoutMs`: 20 s unless told otherwise. */
  constructor(material: TlsMaterial, identity: IdentityKind, handshakeTimeoutMs = HANDSHAKE_TIMEOUT_MS) {
    this.#material = material;
    this.#identity = identity;
    this.#handshakeTimeoutMs = handshakeTimeoutMs;
  }

  /** For the constructor of a server. */
  get options(): TlsOptions {
    return {
      ...this.#context(),
      handshakeTimeout: this.#handshakeTimeoutMs,
      requestCert: this.#material.ca !== undefined,
      // Who is refused by Node has lost its address by the time one hears of it: looked at here, before anything is read.
      rejectUnauthorized: false,
    };
  }

  /** From the next handshake on. Whether clients are asked for a certificate stays as it was. */
  replace(material: TlsMaterial): void {
    this.#material = material;
    for (const server of this.#servers) server.setSecureContext(this.#context());
  }

  /** Takes care of the handshakes of `server`, which hands on only who got through. Returns `server`. */
  attach<Kind extends Server>(server: Kind, refused: Refused | undefined): Kind {
    const underWay = new Map<string, SocketEnds>();
    const [begin] = server.listeners("connection");
    const [secured] = server.listeners("secureConnection");
    server.removeAllListeners("connection").removeAllListeners("secureConnection");
    server.on("connection", (carrier: Socket) => {
      const key = keyOf(carrier);
      const ends = endsOf(carrier);
      carrier.on("error", () => undefined);
      if (key === undefined || underWay.size >= HANDSHAKES_MAX) {
        if (key !== undefined) refused?.(ends.remoteAddress, "too many handshakes at once");
        resetSocket(carrier);
        return;
      }
      underWay.set(key, ends);
      carrier.once("close", () => underWay.delete(key));
      begin?.call(server, carrier);
    });
    const take = (socket: TLSSocket): SocketEnds | undefined => {
      const key = keyOf(socket) ?? "";
      const ends = underWay.get(key);
      underWay.delete(key);
      return ends;
    };
    server.on("secureConnection", (socket: TLSSocket) => {
      const ends = take(socket);
      const client = this.#whoIs(socket);
      if (ends !== undefined && client.reason === undefined) {
        setEnds(socket, { ...ends, identity: client.identity });
        secured?.call(server, socket);
        return;
      }
      socket.destroy();
      if (ends !== undefined && client.reason !== undefined) refused?.(ends.remoteAddress, client.reason);
    });
    server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
      const ends = take(socket);
      // Without ends its connection has closed already, as that of one who only looks whether the port is open.
      if (ends !== undefined) refused?.(ends.remoteAddress, handshakeFailure(error));
      socket.destroy();
    });
    this.#servers.add(server);
    server.once("close", () => this.#servers.delete(server));
    return server;
  }

  #context(): TlsOptions {
    const { cert, key, ca } = this.#material;
    const secureOptions = constants.SSL_OP_NO_RENEGOTIATION;
    return { cert, key, ...(ca === undefined ? {} : { ca }), minVersion: "TLSv1.2", secureOptions };
  }

  /** Whom a client's certificate names, if it was asked for one, or why it is not let in. */
  #whoIs(socket: TLSSocket): { readonly identity?: string | undefined; readonly reason?: string } {
    if (this.#material.ca === undefined) return {};
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return { reason: "it showed no certificate" };
    if (!socket.authorized) return { reason: certificateFailure(socket) };
    const identity = identityIn(certificate, this.#identity);
    return identity === undefined
      ? { reason: `its certificate has no ${this.#identity.toUpperCase()} that could be a user name` }
      : { identity };
  }
}

/** Both addresses and ports: a TCP socket and the TLS on it share them. Undefined: it has ended. */
function keyOf({ remoteAddress, remotePort = 0, localAddress, localPort }: Socket): string | undefined {
  if (remoteAddress === undefined) return undefined;
  return `${joinHostPort(plainAddress(remoteAddress), remotePort)} ${localAddress} ${localPort}`;
}
