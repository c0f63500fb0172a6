/**
 * A reliable two-way byte stream (TCP, TLS, WebSocket binary frames, or a simulated one) without its socket.
 *
 * Ownership: bytes given to `write` or to `received` are not modified by anybody afterwards, so both may be kept; whoever keeps a few
 * of many for long copies them, or holds all alive. One `write` becomes at most one system call, so callers gather their output first.
 */

/** What the owner of a stream hears. Nothing is called after `closed`. */
export interface StreamHandler {
  received(bytes: Uint8Array): void;
  /** The bytes buffered by `write` have gone out (after `write` returned false). */
  drained(): void;
  /** The stream has ended, whoever ended it. Called exactly once. */
  closed(error: Error | undefined): void;
}

export interface Stream {
  /** `address:port` of the other end (`[v6]:port`). */
  readonly remoteAddress: string;
  /** Address (without port) this end is bound to: tells whether it came in on the floating address. */
  readonly localAddress: string;
  /** Name that the other end has proved with a certificate; undefined: it was not asked for one. */
  readonly identity?: string | undefined;
  /** Bytes given to `write` that the operating system has not taken yet. */
  readonly bufferedBytes: number;
  /** Starts reading. Called once, before any other method. */
  start(handler: StreamHandler): void;
  /** Queues bytes. False: the buffer is above its mark, wait for `drained`. Ignored after the stream has ended. */
  write(bytes: Uint8Array): boolean;
  pause(): void;
  resume(): void;
  /**
   * A stream that hands bytes on in pieces which the other end has chosen (WebSocket messages) resets the connection when it holds some
   * `bytes` of a piece that is not complete. Others hand on what they read, and lack this.
   */
  gatherAtMost?(bytes: number): void;
  /** Ends after everything written has gone out. */
  end(): void;
  /** Ends at once with a TCP reset; what is buffered is lost. */
  reset(): void;
}

/** A listening socket. */
export interface StreamListener {
  /** The port it really got (useful after asking for port 0). */
  readonly port: number;
  /** Stops accepting; streams already accepted live on. */
  close(): void;
}

/**
 * The way in for a guest: a caller that has no mesh key, but a secret made for it (an invitation).
 *
 * The listener of the links serves both, so that a newcomer needs to know one port only.
 */
export interface GuestDoor {
  /** Shown to every caller before it has proved anything; undefined: no guest is expected. */
  hint(remoteAddress: string): string | undefined;
  /**
   * The secret, 32 bytes, that a guest which calls itself `identity` must prove. Undefined: there is none; the guest cannot
   * tell that from a wrong one.
   */
  secretOf(identity: string, remoteAddress: string): Uint8Array | undefined;
  /** The guest has proved it. */
  accepted(stream: Stream, identity: string): void;
}

/** Names of guests begin so; a node calls itself by its id. */
export const GUEST_PREFIX = "join:";

/** What a guest says it is, and the secret it proves. */
export interface GuestProof {
  /** Begins with {@link GUEST_PREFIX}. Not secret. */
  readonly identity: string;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/** How an attempt to get in as a guest ended without a stream. */
export type GuestFailure =
  /** Nobody answers there, or it is no Skein node. */
  | { readonly kind: "unreachable"; readonly reason: string }
  /** `prove` returned undefined. */
  | { readonly kind: "givenUp" }
  /** The other end has another secret. */
  | { readonly kind: "wrongSecret" };

/**
 * Dials `address` as a guest. `prove` is called once, with the hint of the other end (undefined: it expects no guest), and
 * answers at once. `done` is called exactly once.
 */
export type DialAsGuest = (
  address: string,
  timeoutMs: number,
  prove: (hint: string | undefined) => GuestProof | undefined,
  done: (result: Stream | GuestFailure) => void,
) => void;

/** Opens and accepts streams between nodes. On the platform: TLS 1.2 with the mesh key as pre-shared key. */
export interface LinkTransport {
  /**
   * Dials `address` (`host:port`). `done` gets the stream, or the error, exactly once. Gives up after `timeoutMs`.
   * Returns a function that cancels the attempt.
   */
  dial(address: string, timeoutMs: number, done: (result: Stream | Error) => void): () => void;
  /**
   * Accepts streams whose other end proved the mesh key. `refused` is told of each that did not, guests excepted: those are
   * the business of `guests`.
   */
  listen(
    address: string,
    accepted: (stream: Stream) => void,
    refused: (remoteAddress: string, reason: string) => void,
    ready: (result: StreamListener | Error) => void,
    guests?: GuestDoor,
  ): void;
}
