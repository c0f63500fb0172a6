export { allCheckers, type CheckerOptions } from "./checkers/all-checkers.ts";
export { type Household, type HouseholdOptions, startHousehold } from "./client/household.ts";
export { type ClientProfile, PROFILES } from "./client/profiles.ts";
export { RetainedReader } from "./client/retained-reader.ts";
export { SimClient } from "./client/sim-client.ts";
export type { SimClientEvents, SimClientOptions } from "./client/sim-client-options.ts";
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
export { generateSchedule, MESH_SIZES, type ScheduleWishes } from "./runner/generate-schedule.ts";
export { householdOf } from "./runner/household-simulation.ts";
export { SCENARIOS, type Scenario } from "./runner/scenarios.ts";
export type { Fault, FaultKind, Schedule } from "./runner/schedule.ts";
export { type Shrunk, shrink } from "./runner/shrink.ts";
export {
  type Failure,
  simulate,
  type Verdict,
  type Workload,
} from "./runner/simulation.ts";
export { underTripwire } from "./runner/tripwire.ts";
export { World, type WorldOptions } from "./world/world.ts";
