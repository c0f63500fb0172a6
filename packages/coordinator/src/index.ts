export { Entrance } from "./address/entrance.ts";
export { FloatingAddress } from "./address/floating-address.ts";
export type { InterfaceView } from "./address/setup.ts";
export { Coordinator } from "./coordinator.ts";
export { loadIdentity } from "./formation/identity.ts";
export { msOfStamp } from "./hybrid-clock.ts";
export { type ElectionWait, explainWait } from "./membership/election-wait.ts";
export { REPLICAS_MAX } from "./membership/voter-policy.ts";
export type { MergeNews, MergeStatus, OutdatedNews } from "./merge/merge-events.ts";
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
export type { OnQuorumLoss } from "./proposals/outbox.ts";
export type { LeaderContact } from "./replica/leader-contact.ts";
export type { ObservedClusters, ObservedEntry } from "./replica/observed-entry.ts";
export type { ReplicaSizes } from "./replica/replica-sizes.ts";
export type { Retained } from "./retained/retained.ts";
export type { Sessions } from "./sessions/sessions.ts";
export type { Conflict } from "./state-machine/conflicts.ts";
export { electionMaxMs } from "./timing.ts";
