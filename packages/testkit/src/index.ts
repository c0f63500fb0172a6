export { allCheckers, type CheckerOptions } from "./checkers/all-checkers.ts";
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
