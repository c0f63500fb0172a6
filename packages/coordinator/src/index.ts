export { Entrance } from "./address/entrance.ts";
export { FloatingAddress } from "./address/floating-address.ts";
export type { InterfaceView } from "./address/setup.ts";
export { Coordinator } from "./coordinator.ts";
export { type ElectionWait, explainWait } from "./election-wait.ts";
export { msOfStamp } from "./hybrid-clock.ts";
export { loadIdentity } from "./identity.ts";
export type { MergeNews, MergeStatus, OutdatedNews } from "./merge-events.ts";
export type { ObservedClusters, ObservedEntry } from "./observed-entry.ts";
export type {
  CoordinatorCounters,
  CoordinatorObserver,
  CoordinatorOptions,
  CoordinatorPorts,
  CoordinatorStatus,
  Durability,
  FloatingAddressOptions,
  FloatingAddressPorts,
  Identity,
  PeerView,
  RetainedMessage,
  TimingProfile,
} from "./options.ts";
export type { OnQuorumLoss } from "./outbox.ts";
export type { ReplicaSizes } from "./replica-sizes.ts";
export type { Retained } from "./retained.ts";
export type { Sessions } from "./sessions/sessions.ts";
export type { Conflict } from "./state-machine/conflicts.ts";
export { electionMaxMs } from "./timing.ts";
export { REPLICAS_MAX } from "./voter-policy.ts";
