/** Exercises (exercises.ts) of a real node: its counts, and how it fails on purpose. */

import type { Clock, Log } from "@skein/kernel";
import { canPauseSelf, killSelf, pauseSelf } from "@skein/platform";
import type { NodeAssembly } from "../assembly.ts";
import type { NodeStatus } from "../node-status.ts";
import { Exercises } from "./exercises.ts";
import type { MeshSwitch } from "./mesh-switch.ts";
import type { Drill } from "./node-requests.ts";

export interface NodeExercisesParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly meshSwitch: MeshSwitch;
  /** The floating address. */
  readonly address: string | undefined;
  readonly status: () => NodeStatus;
  /** The node as it is now. */
  readonly assembly: () => NodeAssembly;
  /** Clients of the address that other nodes serve through this one. */
  readonly passedOn: () => number;
}

export function nodeExercises(parts: NodeExercisesParts): Exercises {
  const { clock, address, status, assembly, passedOn } = parts;
  const onAddress = (): number => (address === undefined ? 0 : assembly().broker.clientsOn(address));
  return new Exercises({
    clock,
    status,
    members: () => assembly().mesh.members,
    send: (to, bytes) => assembly().mesh.sendControl(to, bytes),
    moveLeadership: () => assembly().coordinator.membership.moveLeadership(),
    addressClients: onAddress,
    addressConnections: () => onAddress() + passedOn(),
    cannot: (drill) => cannot(parts, drill),
    carryOut: (drill, forMs) => carryOut(parts, drill, forMs),
  });
}

function cannot({ meshSwitch }: NodeExercisesParts, drill: Drill): string | undefined {
  if (meshSwitch.isCut) return "The node is in a drill already.";
  if (drill !== "pause" || canPauseSelf()) return undefined;
  return "The first process of a container cannot be stopped from within. Use docker pause, or: skein drill pause CONTAINER --docker";
}

function carryOut({ log, meshSwitch }: NodeExercisesParts, drill: Drill, forMs: number): void {
  log.warn({ drill, forMs }, "a drill, as ordered by the operator of another node");
  if (drill === "kill") killSelf();
  else if (drill === "pause") pauseSelf(forMs, (error) => log.error({ error }, "the drill failed"));
  else meshSwitch.cut(forMs, () => log.info({}, "the drill is over: linked again"));
}
