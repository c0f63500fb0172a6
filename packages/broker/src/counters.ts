/** What the broker counts since it started. Plain numbers that only grow, written on the hot path. */

export interface Counters {
  connectionsAccepted: number;
  /**
   * Reset because of a limit: of all connections, of those without a CONNACK, of those per second from one address; or because their CONNECT
   * may be older than a standstill of this process.
   */
  connectionsRefused: number;
  /** CONNECTs that got a successful CONNACK. */
  clientsConnected: number;
  sessionsTakenOver: number;
  /** Connections ended for a Malformed Packet, a Protocol Error or a broken limit. */
  clientFaults: number;
  keepAliveTimeouts: number;
  /** MQTT Control Packets of all types, and their bytes as they are on the wire, without TLS and WebSocket. */
  packetsReceived: number;
  packetsSent: number;
  bytesReceived: number;
  bytesSent: number;
  publishesReceived: number;
  publishesSent: number;
  /** Of their payloads. */
  publishBytesReceived: number;
  publishBytesSent: number;
  /** QoS 0 messages not sent to a slow reader. */
  slowReaderDropped: number;
  /** QoS 1 and 2 messages not queued because a session's queue was full. */
  queueFullDropped: number;
  /** Messages above a client's Maximum Packet Size. */
  tooLargeDropped: number;
  /** Queued messages whose Message Expiry Interval passed. */
  expiredDropped: number;
  willsPublished: number;
  /** Sessions whose Session Expiry Interval passed; where the mesh keeps them, in the whole mesh. */
  sessionsExpired: number;
}

export function newCounters(): Counters {
  return {
    connectionsAccepted: 0,
    connectionsRefused: 0,
    clientsConnected: 0,
    sessionsTakenOver: 0,
    clientFaults: 0,
    keepAliveTimeouts: 0,
    packetsReceived: 0,
    packetsSent: 0,
    bytesReceived: 0,
    bytesSent: 0,
    publishesReceived: 0,
    publishesSent: 0,
    publishBytesReceived: 0,
    publishBytesSent: 0,
    slowReaderDropped: 0,
    queueFullDropped: 0,
    tooLargeDropped: 0,
    expiredDropped: 0,
    willsPublished: 0,
    sessionsExpired: 0,
  };
}
