/**
 * Links between nodes: TLS 1.2 with the mesh key as pre-shared key.
 *
 * Both ends prove that they have the key and agree on fresh keys for this connection (ECDHE), so a key that leaks later
 * does not open what was recorded. No certificates, hence no wall clock. Node's PSK callbacks exist up to TLS 1.2 only.
 * Handshakes are bounded in number and time: until one is done the other end is a stranger.
 *
 * The same listener serves guests, who prove a secret made for them instead of the mesh key (GuestDoor). The hint that TLS
 * sends to every caller in its first answer tells them what they need to know; nodes do not look at it.
 *
 * Source: RFC 7905 (ChaCha20-Poly1305 for ECDHE-PSK), RFC 5489; architecture, section 7.
 */

import { randomBytes } from "node:crypto";
import { createServer, type Socket } from "node:net";
import {
  connect,
  createServer as createTlsServer,
  type PSKCallbackNegotation,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from "node:tls";
import {
  assert,
  GUEST_PREFIX,
  type GuestDoor,
  type LinkTransport,
  PROXY_V2_FIRST_BYTE,
  SkeinError,
  type Stream,
  type StreamListener,
} from "@skein/kernel";
import type { PassEntry } from "../passing/pass-entry.ts";
import { causeOf, codeOf } from "../system-error.ts";
import { joinHostPort, plainAddress, splitHostPort } from "./host-port.ts";
import { openListener } from "./open-listener.ts";
import { SocketStream } from "./socket-stream.ts";

/** Time a caller has to prove the key. */
const HANDSHAKE_TIMEOUT_MS = 5000;
/** Callers that are proving it at the same time. More are reset at once. */
const HANDSHAKES_MAX = 64;

export const PSK_CONTEXT: Pick<SecureContextOptions, "ca" | "ciphers" | "maxVersion" | "minVersion"> = {
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.2",
  ciphers: "ECDHE-PSK-CHACHA20-POLY1305",
  // There are no certificates. Unless told, Node takes in all authorities that it knows, and keeps them.
  ca: [],
};

const WRONG_KEY = "it has another mesh key";

/** What OpenSSL calls a peer that computed other keys: the accepting end, then the dialling one. */
const KEY_MISMATCH_CODES = new Set([
  "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
  "ERR_SSL_DIGEST_CHECK_FAILED",
  "ERR_SSL_SSL/TLS_ALERT_BAD_RECORD_MAC",
  "ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC",
  "ERR_SSL_SSL/TLS_ALERT_DECRYPT_ERROR",
  "ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR",
]);

export interface TlsPskOptions {
  /** The mesh key, 32 bytes. */
  readonly key: Uint8Array;
  /** Shown to the other end before it has proved anything; not secret, and not believed. */
  readonly identity: string;
  /** Time a caller has to prove the key, in ms; 5000 unless told otherwise. */
  readonly handshakeTimeoutMs?: number;
  /** Takes callers that begin with a PROXY header: clients that another node passes on. Undefined: they are strangers. */
  readonly passEntry?: PassEntry | undefined;
}

/** Opens and accepts links with nodes that have the same mesh key. */
export function tlsPskTransport(options: TlsPskOptions): LinkTransport {
  assert(options.key.length === 32, "the mesh key has 32 bytes");
  return {
    dial: (address, timeoutMs, done) => dial(options, address, timeoutMs, done),
    listen: (address, accepted, refused, ready, guests) =>
      listen(options, address, { accepted, refused, guests }, ready),
  };
}

/** Whether a dial failed because the other end has another mesh key. */
export function isKeyMismatch(error: Error): boolean {
  return KEY_MISMATCH_CODES.has(codeOf(error) ?? "") || KEY_MISMATCH_CODES.has(codeOf(error.cause) ?? "");
}

function dial(
  options: TlsPskOptions,
  address: string,
  timeoutMs: number,
  done: (result: Stream | Error) => void,
): () => void {
  let socket: TLSSocket | undefined;
  let isDone = false;
  const finish = (result: Stream | Error): void => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    if (result instanceof Error) socket?.destroy();
    done(result);
  };
  const fail = (error: Error): void => finish(dialError(address, error));
  const timer = setTimeout(() => fail(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  const target = splitHostPort(address);
  if (target === undefined) setImmediate(() => fail(new Error("not of the form HOST:PORT")));
  else socket = connectTo(options, target, finish, fail);
  return () => {
    isDone = true;
    clearTimeout(timer);
    socket?.destroy();
  };
}

/** Connects and runs the dialling end's handshake. */
function connectTo(
  options: TlsPskOptions,
  target: { readonly host: string; readonly port: number },
  connected: (stream: Stream) => void,
  failed: (error: Error) => void,
): TLSSocket {
  const pskCallback = (): PSKCallbackNegotation => ({ psk: options.key, identity: options.identity });
  const socket = connect({
    ...PSK_CONTEXT,
    host: target.host,
    port: target.port,
    pskCallback,
    // There are no certificates: the key is the identity.
    checkServerIdentity: () => undefined,
  });
  socket.setNoDelay(true);
  socket.on("error", failed);
  socket.on("close", () => failed(new Error("closed during the handshake")));
  socket.once("secureConnect", () => connected(new SocketStream(socket)));
  return socket;
}

function dialError(address: string, error: Error): SkeinError {
  const reason = isKeyMismatch(error) ? WRONG_KEY : causeOf(error);
  return new SkeinError("ERR_SKEIN_CONNECT", `Cannot link to ${address}: ${reason}`, { cause: error });
}

/** Who is told of callers. */
interface Callers {
  readonly accepted: (stream: Stream) => void;
  readonly refused: (remoteAddress: string, reason: string) => void;
  readonly guests: GuestDoor | undefined;
}

function listen(
  options: TlsPskOptions,
  address: string,
  callers: Callers,
  ready: (result: StreamListener | Error) => void,
): void {
  const target = splitHostPort(address);
  if (target === undefined) {
    const message = `Cannot listen on "${address}": not of the form HOST:PORT. Use for example --link 0.0.0.0:7883`;
    setImmediate(() => ready(new SkeinError("ERR_SKEIN_LISTEN", message)));
    return;
  }
  const handshakes = new Handshakes(callers);
  // A hint belongs to a TLS server, so there is one for the hint in use; it is only the machinery, and listens nowhere.
  let current: { readonly hint: string | undefined; readonly tls: Server } | undefined;
  const machinery = (hint: string | undefined): Server => {
    if (current === undefined || current.hint !== hint)
      current = { hint, tls: tlsServer(options, hint, handshakes) };
    return current.tls;
  };
  // Connections come in on a plain server, which can turn them away before any cryptography.
  const server = createServer({ noDelay: true }, (carrier) => {
    if (!handshakes.begin(carrier)) return;
    const startTls = (): void => {
      machinery(callers.guests?.hint(remoteOf(carrier))).emit("connection", carrier);
    };
    const { passEntry } = options;
    if (passEntry === undefined) {
      startTls();
      return;
    }
    const late = setTimeout(() => handshakes.late(carrier), timeoutOf(options));
    carrier.once("close", () => clearTimeout(late));
    whenFirstByte(carrier, (byte) => {
      clearTimeout(late);
      if (byte !== PROXY_V2_FIRST_BYTE) startTls();
      else if (handshakes.release(carrier)) {
        const remote = remoteOf(carrier);
        passEntry.take(carrier, (reason) => callers.refused(remote, reason));
      }
    });
  });
  openListener(
    server,
    target.host,
    target.port,
    (port) => `--link ${joinHostPort(target.host, port)}`,
    ready,
  );
}

function timeoutOf({ handshakeTimeoutMs }: TlsPskOptions): number {
  return handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
}

function tlsServer(options: TlsPskOptions, hint: string | undefined, handshakes: Handshakes): Server {
  const tls = createTlsServer({
    ...PSK_CONTEXT,
    handshakeTimeout: timeoutOf(options),
    pskCallback: (socket, identity) =>
      identity.startsWith(GUEST_PREFIX) ? handshakes.guest(socket, identity) : options.key,
    ...(hint === undefined ? {} : { pskIdentityHint: hint }),
  });
  tls.on("secureConnection", (socket) => handshakes.succeeded(socket));
  tls.on("tlsClientError", (error, socket) => handshakes.failed(error, socket));
  return tls;
}

/**
 * The connections that have not proved the key yet. Once TLS has taken a TCP socket over, only the TLS socket is ever
 * closed: closing both can crash Node.
 */
class Handshakes {
  /** Remote addresses of those under way (empty: a guest's), by both addresses and ports, which a TCP socket and TLS on it share. */
  readonly #underWay = new Map<string, string>();
  /** What guests call themselves. */
  readonly #guests = new WeakMap<TLSSocket, string>();
  readonly #callers: Callers;

  constructor(callers: Callers) {
    this.#callers = callers;
  }

  /** False: turned away. */
  begin(carrier: Socket): boolean {
    const key = keyOf(carrier);
    if (key === undefined) {
      carrier.destroy();
      return false;
    }
    const remote = remoteOf(carrier);
    if (this.#underWay.size >= HANDSHAKES_MAX) {
      carrier.resetAndDestroy();
      this.#callers.refused(remote, "too many callers at once");
      return false;
    }
    this.#underWay.set(key, remote);
    carrier.once("close", () => this.#refuse(key, "closed during the handshake"));
    carrier.on("error", (error) => this.#refuse(key, reasonFor(error)));
    return true;
  }

  /** `carrier` has not said anything in time. Only for one that TLS has not taken over. */
  late(carrier: Socket): void {
    const key = keyOf(carrier);
    if (key !== undefined) this.#refuse(key, "it did not prove the mesh key in time");
    carrier.destroy();
  }

  /** It is no handshake; who takes it judges it. False: it has ended. */
  release(carrier: Socket): boolean {
    const key = keyOf(carrier);
    return key !== undefined && this.#underWay.delete(key);
  }

  /** A caller says that it is a guest. Returns what it must prove; where there is nothing, what it cannot. */
  guest(socket: TLSSocket, identity: string): Uint8Array {
    const key = keyOf(socket);
    // Its failure is not reported: the door has counted the attempt.
    if (key !== undefined) this.#underWay.set(key, "");
    this.#guests.set(socket, identity);
    return this.#callers.guests?.secretOf(identity, remoteOf(socket)) ?? randomBytes(32);
  }

  succeeded(socket: TLSSocket): void {
    const key = keyOf(socket);
    const guest = this.#guests.get(socket);
    if (key === undefined || !this.#underWay.delete(key)) socket.destroy();
    else if (guest === undefined) this.#callers.accepted(new SocketStream(socket));
    else this.#callers.guests?.accepted(new SocketStream(socket), guest);
  }

  failed(error: Error, socket: TLSSocket): void {
    const key = keyOf(socket);
    // Without a key the TCP socket has ended already, and its own event reports it.
    if (key !== undefined) this.#refuse(key, reasonFor(error));
    socket.destroy();
  }

  /** Reports a handshake that came to nothing, once. */
  #refuse(key: string, reason: string): void {
    const remote = this.#underWay.get(key);
    if (remote === undefined) return;
    this.#underWay.delete(key);
    if (remote !== "") this.#callers.refused(remote, reason);
  }
}

/** Calls `done` with the first byte that comes, which stays to be read. */
function whenFirstByte(socket: Socket, done: (byte: number) => void): void {
  const look = (): void => {
    const bytes = socket.read() as Uint8Array | null;
    if (bytes === null) return;
    socket.off("readable", look);
    socket.unshift(bytes);
    done(bytes[0] as number);
  };
  socket.on("readable", look);
}

function keyOf(socket: Socket): string | undefined {
  const { remoteAddress, localAddress, localPort } = socket;
  return remoteAddress === undefined ? undefined : `${remoteOf(socket)} ${localAddress} ${localPort}`;
}

function remoteOf(socket: Socket): string {
  return joinHostPort(plainAddress(socket.remoteAddress), socket.remotePort ?? 0);
}

function reasonFor(error: Error): string {
  const code = codeOf(error) ?? "";
  if (isKeyMismatch(error)) return WRONG_KEY;
  if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") return "it did not prove the mesh key in time";
  if (code === "ECONNRESET" || code === "EPIPE") return "closed during the handshake";
  return "it does not speak the language of Skein links";
}
