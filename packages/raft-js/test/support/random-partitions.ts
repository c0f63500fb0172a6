/** What is done to the network of a random life. */

import type { ServerId } from "../../src/index.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimServer } from "./sim-server.ts";

/** Cuts the network in two, in overlapping parts, around one server, in one direction only, or not at all. */
export function partition(cluster: SimCluster, ids: readonly ServerId[], victim: ServerId): void {
  const { random, network } = cluster;
  const { cut } = network.faults;
  cut.clear();
  const others = ids.filter((id) => id !== victim);
  const half = ids.filter(() => random.chance(50));
  switch (random.below(9)) {
    case 0:
      cut.add(`${random.pick(ids)}>${random.pick(ids)}`);
      break;
    case 1:
      network.partition(
        half,
        ids.filter((id) => !half.includes(id)),
      );
      break;
    case 2:
      network.partition([victim], others);
      break;
    case 3:
      for (const id of others) cut.add(`${id}>${victim}`);
      break;
    case 4:
      for (const id of others) cut.add(`${victim}>${id}`);
      break;
    case 5: {
      // One server reaches both sides, which do not reach each other.
      const bridge = random.pick(ids);
      const [one, other] = [half, ids.filter((id) => !half.includes(id))];
      network.partition(
        one.filter((id) => id !== bridge),
        other.filter((id) => id !== bridge),
      );
      break;
    }
    case 6:
    case 7: {
      // The barest majority is connected, without the victim, and every other server alone.
      const shuffled = ids.map((id) => ({ id, at: random.below(1000) })).sort((a, b) => a.at - b.at);
      const rest = shuffled.map(({ id }) => id).filter((id) => id !== victim);
      const majority = rest.slice(0, Math.floor(ids.length / 2) + 1);
      network.partition(majority, ...ids.filter((id) => !majority.includes(id)).map((id) => [id]));
      break;
    }
    default:
      break;
  }
}

/** Cuts between those who vote only before a change and those who vote only after it; who votes in both is on either side. */
export function splitBySets({ random, network, seen }: SimCluster, leader: SimServer): void {
  const { voters, votersOutgoing } = leader.configuration;
  const before: ServerId[] = [];
  const after: ServerId[] = [];
  for (const id of new Set([...votersOutgoing, ...voters, leader.id])) {
    const isFree = id === leader.id || (voters.includes(id) && votersOutgoing.includes(id));
    const isBefore = isFree ? random.chance(50) : votersOutgoing.includes(id);
    (isBefore ? before : after).push(id);
  }
  network.faults.cut.clear();
  network.partition(before, after);
  seen.add("a network is cut between the two sets of a joint configuration");
}
