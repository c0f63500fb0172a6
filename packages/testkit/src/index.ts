export { allCheckers, type CheckerOptions } from "./checkers/all-checkers.ts";
export { type ClientProfile, PROFILES } from "./client/profiles.ts";
export { RetainedReader } from "./client/retained-reader.ts";
export { SimClient, type SimClientEvents, type SimClientOptions } from "./client/sim-client.ts";
export { startHousehold, type Workload, type WorkloadOptions } from "./client/workloads.ts";
export {
  type Checker,
  CheckFailure,
  type ClientObservation,
  type ClientTarget,
  type NodeObservation,
  type Observation,
  type PublishedPacket,
  type SimClientHost,
  type WorldObservation,
} from "./observations.ts";
