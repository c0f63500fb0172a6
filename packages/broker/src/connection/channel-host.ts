/** What a channel needs from its broker; kept apart so that neither file has to know the other. */

import type { Clock, WillFate } from "@skein/kernel";
import type { ConnectPacket } from "../codec/connect-packet.ts";
import type { FieldReader } from "../codec/field-reader.ts";
import type { PublishPacket } from "../codec/publish-packet.ts";
import type { TopicNames } from "../codec/topic-names.ts";
import type { Counters } from "../counters.ts";
import type { AcknowledgementPool } from "../inbound/acknowledgements.ts";
import type { BrokerOptions } from "../options.ts";
import type { BatchPool } from "../outbound/outbound-batch.ts";
import type { Authenticator } from "../ports.ts";
import type { ClientSession, PublishPort } from "../sessions/client-session.ts";
import type { Subscriptions } from "../subscriptions/subscriptions.ts";
import type { Proof } from "./authentication.ts";
import type { Admission } from "./connecting.ts";

/** The broker, as `Connection` (a channel) sees it. */
export interface ChannelHost<Connection> extends PublishPort {
  readonly options: BrokerOptions;
  readonly counters: Counters;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly topics: TopicNames;
  readonly acknowledgementPool: AcknowledgementPool;
  readonly batches: BatchPool;
  readonly subscriptions: Subscriptions;
  /** The next two are reused by all channels: a packet is read to its end before the next one is, of whatever channel. */
  readonly fields: FieldReader;
  readonly publishPacket: PublishPacket;
  readonly authenticator: Authenticator | undefined;
  /** Whether one more connection may be in the middle of an authentication; counts it if so. */
  mayAuthenticate(channel: Connection): boolean;
  /**
   * A well-formed CONNECT has come: the broker answers with `connected`, `awaitSession` or `rejectConnect`. `proof`: of the enhanced authentication
   * that the client has passed.
   */
  connect(channel: Connection, packet: ConnectPacket, proof: Proof | undefined): void;
  /** The channel has output for the end of this turn. */
  markDirty(channel: Connection): void;
  /** The channel has sent its CONNACK. */
  connected(channel: Connection, admission: Admission): void;
  /** The session has lost this connection. */
  detach(session: ClientSession, fate: WillFate): void;
  /** Ask `deadline` again at `at`, ms. */
  wakeAt(channel: Connection, at: number): void;
  /** A newer connection of its client has come, from address `by`. */
  takenOver(channel: Connection, by: string): void;
  /** The stream has ended. */
  gone(channel: Connection): void;
  /** A client broke the protocol or a limit. */
  faulted(channel: Connection, reasonCode: number, cause: string): void;
}
