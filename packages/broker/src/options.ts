/**
 * Settings of the broker. Every bound that a client can run into stands here, with what happens there.
 *
 * Units are in the names. MQTT 5 clients are told those that the protocol has a property for.
 */

export interface BrokerOptions {
  /** Largest packet accepted after CONNECT, in bytes. A larger one ends the connection (0x95). */
  readonly packetBytesMax: number;
  /** Largest CONNECT, in bytes: all that a stranger may make us buffer. A larger one closes the connection. */
  readonly connectBytesMax: number;
  /** A connection that has not sent its whole CONNECT by then is reset. */
  readonly connectTimeoutMs: number;
  /** A client that waits for its session, which the mesh keeps, is reset if it has not got it by then. */
  readonly claimTimeoutMs: number;
  /** A connection that was ended by us and has not gone by then is reset. */
  readonly closeTimeoutMs: number;
  /** Connections of all listeners together; the next one is reset. */
  readonly connectionsMax: number;
  /** Connections without a CONNACK; for the next one the oldest of them is reset. */
  readonly connectingMax: number;
  /** Connections in the middle of an authentication (AUTH); the next one that begins one is reset. */
  readonly authenticatingMax: number;
  /** Connections that one address may open per second; further ones are reset. 0: any number. Loopback is not counted. */
  readonly connectsPerSecondMax: number;
  /** Connections that one address may open at once before that rate counts. */
  readonly connectsBurstMax: number;
  /**
   * Bytes that may wait for one client's socket. Above it QoS 0 is dropped and counted, QoS 1 and 2 wait in the
   * session's queue, retained replay pauses.
   */
  readonly outboundBytesMax: number;
  /**
   * QoS 1 and 2 messages that may wait in one session. The newest is dropped and counted when it is full; in a session that the mesh
   * keeps its publisher hears 0x97 besides, and there may be 10,000 and 8 MiB at most.
   */
  readonly queuedMessagesMax: number;
  /** As `queuedMessagesMax`, in bytes of payload and topic. */
  readonly queuedBytesMax: number;
  /**
   * Bytes that wait in the queues of all sessions together, 100 for each message besides its own. Above half of it a queue grows only up
   * to an equal share of that half; the newest message is dropped and counted.
   */
  readonly queuedTotalBytesMax: number;
  /** QoS 1 and 2 messages under way to one client at a time; a 5.0 client may ask for fewer. At most 4096. */
  readonly inflightMax: number;
  /** QoS 1 and 2 messages of one client that wait for the mesh; reading from it pauses when there are more. */
  readonly unsettledPublishesMax: number;
  /**
   * Receive Maximum told to 5.0 clients, 1 to 65535; a client that exceeds it is disconnected with 0x93. 65535 is no
   * limit: MQTT.js 5.16 ignores a lower one and would be disconnected in every burst, and pausing bounds it anyway.
   */
  readonly receiveMaximum: number;
  /** Topic Aliases that a client may use, for each connection. Beyond: 0x94. */
  readonly topicAliasMaximum: number;
  /** Topic Aliases used towards a client that allows as many, for each connection. 0: none. */
  readonly outboundTopicAliasMax: number;
  /** Longest Topic Name or Filter, in bytes; at most 65535. A longer one is answered 0x90 (name) or 0x8F (filter). */
  readonly topicBytesMax: number;
  /** Most levels of a Topic Name or Filter, at most 128; the same answers. */
  readonly topicLevelsMax: number;
  /** Longest life of a session without a connection, in seconds. Longer wishes are cut to it. */
  readonly sessionExpiryMaxSeconds: number;
  /** Sessions without a connection that are kept; the one longest without is ended when there are more. */
  readonly offlineSessionsMax: number;
  /** Topic Filters served in one SUBSCRIBE; those beyond are answered 0x97 (3.x: 0x80). */
  readonly filtersPerSubscribeMax: number;
  /** Subscriptions of one session; those beyond are answered 0x97 (3.x: 0x80). */
  readonly subscriptionsPerClientMax: number;
  /** Characters of all Topic Filters of one session; those beyond are answered 0x97 (3.x: 0x80). */
  readonly subscriptionLengthPerClientMax: number;
  /** SUBSCRIBE packets of one client whose SUBACK still waits for the mesh; reading pauses when there are more. */
  readonly pendingSubscribesMax: number;
  /**
   * Response Information for clients that request it is this topic, a slash and the Client Identifier; undefined: none is given.
   */
  readonly responseTopicPrefix: string | undefined;
  /** Values under `$SYS` are told to their subscribers this often, in seconds; 0: there are none. */
  readonly systemIntervalSeconds: number;
  /** IPv4 address that moves between nodes, if this mesh has one. */
  readonly floatingAddress: string | undefined;
  /** Server Keep Alive for 5.0 clients on the floating address, so that they notice soon when it moves. */
  readonly floatingKeepAliveSeconds: number;
}

export const DEFAULT_BROKER_OPTIONS: BrokerOptions = {
  packetBytesMax: 1_048_576,
  connectBytesMax: 65_536,
  connectTimeoutMs: 10_000,
  claimTimeoutMs: 30_000,
  closeTimeoutMs: 5_000,
  connectionsMax: 20_000,
  connectingMax: 2_000,
  authenticatingMax: 500,
  // A house behind one router may come back at once; a device in a loop does it for ever.
  connectsPerSecondMax: 50,
  connectsBurstMax: 1_000,
  outboundBytesMax: 1_048_576,
  // Small messages come in bursts larger than any fixed count foresees; memory is bounded by the bytes.
  queuedMessagesMax: 10_000,
  queuedBytesMax: 8_388_608,
  queuedTotalBytesMax: 268_435_456,
  inflightMax: 64,
  unsettledPublishesMax: 256,
  receiveMaximum: 65_535,
  topicAliasMaximum: 32,
  outboundTopicAliasMax: 32,
  topicBytesMax: 65_535,
  topicLevelsMax: 128,
  sessionExpiryMaxSeconds: 14 * 24 * 3600,
  offlineSessionsMax: 20_000,
  filtersPerSubscribeMax: 10_000,
  subscriptionsPerClientMax: 10_000,
  subscriptionLengthPerClientMax: 1_048_576,
  pendingSubscribesMax: 32,
  responseTopicPrefix: undefined,
  systemIntervalSeconds: 10,
  floatingAddress: undefined,
  floatingKeepAliveSeconds: 15,
};

/** What differs between the listeners of one broker. */
export interface ListenerOptions {
  /** For logs: the listener's URL. */
  readonly name: string;
  /** TCP port that its clients connect to; undefined: none. */
  readonly port?: number | undefined;
  /** False: clients speak TLS or WebSocket there, or come through a proxy. Default: true. */
  readonly isPlain?: boolean;
  /** False: who has not proved an identity, by certificate or by authentication, is answered "not authorized". */
  readonly allowAnonymous: boolean;
  /**
   * When PUBACK and PUBREC are sent: `mesh`: when the message is safe, which an acknowledgement promises (P5). `local`: as soon as this
   * node has it, so what is lost with the node is lost. Default: `mesh`.
   */
  readonly acknowledges?: "local" | "mesh";
}
