export { Broker } from "./broker.ts";
export type { Counters } from "./counters.ts";
export { InMemoryRetained } from "./in-memory-retained.ts";
export { loneNodePorts, type SharedDelivery } from "./lone-node.ts";
export { type BrokerOptions, DEFAULT_BROKER_OPTIONS, type ListenerOptions } from "./options.ts";
export type {
  Authenticator,
  BrokerPorts,
  Forwarder,
  Interest,
  NodeFigures,
  RetainedReader,
  RetainedStore,
} from "./ports.ts";
export { decodeBase64, encodeBase64 } from "./scram/base64.ts";
export {
  SCRAM_ITERATIONS,
  type ScramCredentials,
  type ScramPorts,
  scramAuthenticator,
} from "./scram/scram.ts";
