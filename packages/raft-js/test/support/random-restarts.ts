/** What is done to the servers of a random life: restarts, damage, wrong bits, power cuts. */

import type { ServerId } from "../../src/index.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimServer } from "./sim-server.ts";

/** A value that no command has written. */
const WRONG = 256;

/** A process dies and is there again at once. */
export function bounce(cluster: SimCluster, id: ServerId): void {
  if (cluster.get(id).node === undefined) return;
  cluster.crash(id);
  cluster.start(id);
}

/** A server starts again, now and then with less on its disk than was safe there. */
export function restart(cluster: SimCluster, id: ServerId, damagePercent: number): void {
  const { random, seen } = cluster;
  const { disk } = cluster.get(id);
  if (random.chance(damagePercent) && isDamageSurvivable(cluster, id)) {
    const count = random.chance(50) ? disk.recordsToOverwritten : undefined;
    if (disk.lose(count ?? 1 + random.below(6))) seen.add("entries that were overwritten come back");
    disk.isSuspect = true;
  }
  cluster.start(id);
}

/**
 * A cluster survives that one server at a time loses what it acknowledged, where others have it: in every configuration
 * that any server may go by, a majority that needs this server has another member.
 */
function isDamageSurvivable({ servers }: SimCluster, id: ServerId): boolean {
  const all = [...servers.values()];
  if (all.some((other) => other.id !== id && isFaulty(other))) return false;
  return all.every(({ disk, configuration }) =>
    [...disk.configurations(), configuration].every(({ voters, votersOutgoing }) =>
      [voters, votersOutgoing].every((set) => set.length >= 3 || !set.includes(id)),
    ),
  );
}

function isFaulty({ isWrong, disk }: SimServer): boolean {
  return isWrong || disk.isSuspect;
}

/**
 * A bit flips in the memory of a running follower. One at a time: two of them may be taken for right. And not while
 * another is suspect: an isolated voter and one that votes only together with all leave three voters without a leader.
 */
export function corrupt(cluster: SimCluster, id: ServerId): void {
  const server = cluster.get(id);
  const isOneFaulty = [...cluster.servers.values()].some(isFaulty);
  if (server.node === undefined || server.role === "leader" || isOneFaulty) return;
  server.state.push(WRONG);
  server.isWrong = true;
  server.hasBeenWrong = true;
}

/**
 * The power of all fails, and everyone may have lost what it acknowledged. All but one of those with the best log have: so
 * nothing committed is lost as a whole, and the checkers demand that nothing is.
 */
export function blackOut(cluster: SimCluster, ids: readonly ServerId[]): void {
  const { random } = cluster;
  for (const id of ids) cluster.crash(id);
  const disks = ids.map((id) => cluster.get(id).disk);
  const best = random.pick(disks.filter((disk) => disks.every((other) => disk.isUpToDateWith(other))));
  for (const disk of disks) {
    if (disk !== best) disk.lose(random.below(7));
    disk.isSuspect = true;
  }
  cluster.seen.add("the power of all fails");
}

/** A leader, and a server that will no longer have heard it when it is cut off and the others have just restarted. */
export interface Stranding {
  readonly leader: ServerId;
  readonly rival: ServerId;
  readonly at: number;
}

export function beginStranding(
  { random, network, now, settings }: SimCluster,
  leader: ServerId,
  ids: readonly ServerId[],
): Stranding {
  const rival = random.pick(ids.filter((id) => id !== leader));
  network.faults.cut.clear();
  network.partition([leader], [rival]);
  return { leader, rival, at: now + settings.electionMaxMs + random.below(settings.electionMaxMs) };
}

export function strand(cluster: SimCluster, { leader, rival }: Stranding, ids: readonly ServerId[]): void {
  const others = ids.filter((id) => id !== leader);
  cluster.network.partition([leader], others);
  for (const id of others) if (id !== rival) bounce(cluster, id);
  cluster.seen.add("a leader is cut off while all but one of the others restart");
}
