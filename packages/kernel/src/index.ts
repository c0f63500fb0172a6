export { AssertionError, assert, unreachable } from "./assert.ts";
export { hashOfBytes, isSameBytes } from "./byte-key.ts";
export { ByteReader, ByteWriter, joined, readU32, writeU32 } from "./bytes.ts";
export type { Core } from "./core.ts";
export { type ErrorCode, SkeinError } from "./errors.ts";
export { FilterIndex } from "./filter-index.ts";
export { type ClusterId, type Incarnation, isNodeId, type MonotonicMs, type NodeId } from "./ids.ts";
export { formatIp, parseIp } from "./ip-text.ts";
export { LogThrottle } from "./log-throttle.ts";
export {
  type ApplicationMessage,
  type Completion,
  type MessageProperties,
  PASSED_BY,
  type PublishBytes,
  type QoS,
  SAFE_HERE_ONLY,
} from "./message.ts";
export { decodeMessage, encodeMessage } from "./message-codec.ts";
export { messageSize } from "./message-size.ts";
export { type Clock, type Timer, untilNext } from "./ports/clock.ts";
export type { DnsHandler, DnsQuestion, DnsRecord, MulticastDns } from "./ports/datagram.ts";
export type { Disk, DiskContent, DiskDone, DiskFile } from "./ports/disk.ts";
export type { Log, LogFields } from "./ports/log.ts";
export type { JobResult, LongProcess, ProcessPort, ProcessResult, Shell } from "./ports/process.ts";
export type { RandomSource } from "./ports/random.ts";
export {
  type KeptSession,
  type KeptSubscription,
  type OwedMessage,
  packetIdOf,
  type SessionClaim,
  type SessionHolder,
  type SessionOpening,
  type SessionStore,
  type SessionWill,
  type SharedChoice,
  type SubscriptionWish,
  type WillFate,
} from "./ports/session-store.ts";
export {
  type DialAsGuest,
  GUEST_PREFIX,
  type GuestDoor,
  type GuestFailure,
  type GuestProof,
  type LinkTransport,
  type Stream,
  type StreamHandler,
  type StreamListener,
} from "./ports/stream.ts";
export {
  encodeProxyHeader,
  PROXY_V2_FIRST_BYTE,
  type ProxyEndpoint,
  type ProxyHeader,
  ProxyHeaderReader,
} from "./proxy-header.ts";
export { type Prng, seededPrng } from "./random.ts";
export {
  filterCovers,
  filterMatches,
  isValidTopicFilter,
  isValidTopicName,
  parseSharedFilter,
  type SharedFilter,
  TOPIC_LEVELS_MAX,
} from "./topic-filter.ts";
export { decodeUtf8, encodeUtf8Into, isUtf8, utf8Length } from "./utf8.ts";
