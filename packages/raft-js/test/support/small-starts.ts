/**
 * Everything that two terms of Raft can leave on the disks of three servers, up to their names.
 *
 * A term, by the rules of the paper and without its code: a leader that a majority may elect (section 5.4.1) appends one
 * entry; each other server hears nothing, learns the term only, or gets the leader's log with or without that entry. What
 * a majority then has of the leader's own term is committed, with everything before it (5.4.2).
 */

export interface Disk {
  /** The terms of its entries. */
  readonly log: readonly number[];
  readonly term: number;
  /** Whom it voted for in `term`: 0, 1 or 2. */
  readonly votedFor: number | undefined;
}

export interface Start {
  readonly disks: readonly Disk[];
  /** The terms of the entries that are committed. */
  readonly committed: readonly number[];
}

const SERVERS = [0, 1, 2] as const;
const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;
/** What a server that does not lead sees of a term. */
const SHARES = ["nothing", "term", "former", "all"] as const;

/** All starts after up to `terms` terms. */
export function allStarts(terms: number): readonly Start[] {
  let starts: readonly Start[] = [
    { disks: SERVERS.map(() => ({ log: [], term: 1, votedFor: undefined })), committed: [] },
  ];
  for (let term = 2; term < 2 + terms; term++) {
    const next = new Map<string, Start>();
    for (const start of [...starts, ...starts.flatMap((before) => afterTerm(before, term))]) {
      const key = nameless(start);
      if (!next.has(key)) next.set(key, start);
    }
    starts = [...next.values()];
  }
  return starts;
}

function afterTerm(start: Start, term: number): Start[] {
  const starts: Start[] = [];
  for (const leader of SERVERS) {
    const before = start.disks[leader]!.log;
    const others = SERVERS.filter((id) => id !== leader);
    for (const voters of [others, ...others.map((id) => [id])]) {
      if (!voters.every((voter) => isUpToDate(before, start.disks[voter]!.log))) continue;
      for (const first of SHARES) {
        for (const second of SHARES) {
          const shareOf = (id: number) => (id === others[0] ? first : second);
          starts.push(led(start, term, leader, voters, shareOf));
        }
      }
    }
  }
  return starts;
}

function led(
  start: Start,
  term: number,
  leader: number,
  voters: readonly number[],
  shareOf: (id: number) => (typeof SHARES)[number],
): Start {
  const before = start.disks[leader]!.log;
  const log = [...before, term];
  const disks = start.disks.map((disk, id) => {
    if (id === leader) return { log, term, votedFor: leader };
    const share = shareOf(id);
    const hasVoted = voters.includes(id);
    if (share === "nothing" && !hasVoted) return disk;
    const own = share === "all" ? log : share === "former" ? before : disk.log;
    return { log: own, term, votedFor: hasVoted ? leader : undefined };
  });
  const copies = disks.filter((disk) => disk.log[log.length - 1] === term).length;
  return { disks, committed: copies > 1 ? log : start.committed };
}

function isUpToDate(candidate: readonly number[], voter: readonly number[]): boolean {
  const [own, others] = [candidate.at(-1) ?? 0, voter.at(-1) ?? 0];
  return own > others || (own === others && candidate.length >= voter.length);
}

/** Equal for starts that differ in nothing but who is who. */
function nameless({ disks, committed }: Start): string {
  const views = ORDERS.map((order) => {
    const renamed = order.map((id) => {
      const { log, term, votedFor } = disks[id]!;
      return [log, term, votedFor === undefined ? -1 : (order as readonly number[]).indexOf(votedFor)];
    });
    return JSON.stringify([renamed, committed]);
  });
  return views.sort()[0]!;
}
