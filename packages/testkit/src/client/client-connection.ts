/**
 * One network connection of a client: it is dialled, kept alive, found silent, and ended in one of the ways that real
 * connections end.
 *
 * A client that loses power or its network leaves a connection behind that its node takes for alive. `abandon` is that: nothing
 * is read from it any more but its end.
 *
 * Source: MQTT 5 sections 3.1.2.10, 3.12, 3.14, 4.13.
 */

import type { Stream, Timer } from "@skein/kernel";
import type { ClientTarget, SimClientHost } from "../observations.ts";
import { DISCONNECT, PINGREQ } from "./client-packets.ts";
import type { ClientProfile } from "./profiles.ts";
import { type ServerPacket, ServerPacketReader } from "./server-packets.ts";

/** Who owns the connection. Nothing is called after it was ended from this side. */
export interface ConnectionOwner {
  /** It reaches `node`: time for CONNECT. */
  opened(node: string): void;
  received(packet: ServerPacket): void;
  /** It is over, or of no use any more. */
  lost(): void;
}

/** What is heard of a connection that its client has ended already. `code`: of a DISCONNECT, if one came. */
type Ended = (code: number | undefined) => void;

export class ClientConnection {
  readonly #host: SimClientHost;
  readonly #profile: ClientProfile;
  readonly #owner: ConnectionOwner;
  readonly #reader: ServerPacketReader;
  readonly #stream: Stream;
  #isOwned = true;
  #isAbandoned = false;
  /** Waits for the end of a connection that nobody owns any more. */
  #ended: Ended | undefined;
  /** Patience with CONNACK, then keep-alive. */
  #timer: Timer;
  #pingTimer: Timer | undefined;
  /** What to call with each PINGRESP. */
  readonly #pings: (() => void)[] = [];
  #lastSentAt = 0;
  #lastReceivedAt = 0;
  #keepAliveMs = 0;

  constructor(host: SimClientHost, profile: ClientProfile, target: ClientTarget, owner: ConnectionOwner) {
    this.#host = host;
    this.#profile = profile;
    this.#owner = owner;
    this.#reader = new ServerPacketReader(profile.version, (packet) => this.#received(packet));
    this.#timer = host.clock.after(profile.connectTimeoutMs, () => this.#lost());
    this.#stream = host.connect(target, {
      connected: (node) => {
        if (this.#isOwned) owner.opened(node);
      },
      received: (bytes) => {
        this.#lastReceivedAt = host.clock.monotonicMs();
        this.#reader.feed(bytes);
      },
      drained: () => undefined,
      closed: (error) => {
        this.#lost();
        // What was left behind has arrived if no error says otherwise.
        if (error === undefined || this.#isAbandoned) this.#over(undefined);
      },
    });
  }

  /** CONNACK came. */
  accepted(keepAliveSeconds: number): void {
    this.#timer.cancel();
    this.#keepAliveMs = keepAliveSeconds * 1000;
    this.#keepAlive();
  }

  write(bytes: Uint8Array): void {
    this.#lastSentAt = this.#host.clock.monotonicMs();
    this.#stream.write(bytes);
  }

  /** Calls `answered` with the PINGRESP. Never called if the connection ends. */
  ping(answered: () => void): void {
    this.#pings.push(answered);
    this.write(PINGREQ);
    this.#pingTimer ??= this.#host.clock.after(this.#profile.pingTimeoutMs, () => this.#lost());
  }

  /** Takes nothing from the connection for `forMs`. */
  pauseReading(forMs: number): void {
    this.#stream.pause();
    this.#host.clock.after(forMs, () => this.#stream.resume());
  }

  /** DISCONNECT; `ended` hears that the node has taken it. */
  leave(ended: Ended): void {
    this.#disown();
    this.#ended = ended;
    this.#stream.write(DISCONNECT);
    this.#stream.end();
  }

  /** Ends it without DISCONNECT: at once and with what is on the way lost (`isReset`), or behind what was written. */
  drop(isReset: boolean): void {
    this.#disown();
    this.#reader.stop();
    if (isReset) this.#stream.reset();
    else this.#stream.end();
  }

  /** Leaves it as it is; `ended` hears when the node ends it. */
  abandon(ended: Ended): void {
    this.#disown();
    this.#isAbandoned = true;
    this.#ended = ended;
  }

  #received(packet: ServerPacket): void {
    if (packet.kind === "disconnect") {
      this.#lost();
      this.#over(packet.reasonCode);
      return;
    }
    if (!this.#isOwned) return;
    if (packet.kind !== "pingresp") {
      this.#owner.received(packet);
      return;
    }
    this.#pingTimer?.cancel();
    this.#pingTimer = undefined;
    this.#pings.shift()?.();
  }

  #lost(): void {
    if (this.#isOwned) this.#owner.lost();
  }

  #over(code: number | undefined): void {
    const ended = this.#ended;
    this.#ended = undefined;
    ended?.(code);
  }

  #disown(): void {
    this.#isOwned = false;
    this.#timer.cancel();
    this.#pingTimer?.cancel();
  }

  /** PINGREQ when nothing was sent, or nothing came, for the keep-alive time [MQTT-3.1.2-20]; so do PubSubClient and Paho. */
  #keepAlive(): void {
    const { clock } = this.#host;
    const now = clock.monotonicMs();
    const isDue = now >= Math.min(this.#lastSentAt, this.#lastReceivedAt) + this.#keepAliveMs;
    if (isDue && this.#pings.length === 0) this.ping(() => undefined);
    const dueAt = isDue ? now : Math.min(this.#lastSentAt, this.#lastReceivedAt);
    this.#timer = clock.after(dueAt + this.#keepAliveMs - now, () => this.#keepAlive());
  }
}
