/**
 * Every run of three servers that is short enough, by breadth-first search with the shipped step function.
 *
 * A run is a few steps: a server campaigns, or a request of another arrives; its answer is lost or arrives at once.
 * Requests may be lost, late and out of order. A state is what has happened to each server (what is under way follows from
 * that), so steps that commute lead to one state. After each step the properties of paper figure 3 must hold.
 *
 * Idea: small scopes show most mistakes (Jackson, Alloy); the TLA+ models of Raft are checked the same way.
 */

import { type Happening, IDS, SmallServer } from "./small-server.ts";
import type { Start } from "./small-starts.ts";

/** A server after one history. */
interface Past {
  /** Equal histories of a server have equal numbers. */
  readonly number: number;
  readonly happened: readonly Happening[];
  /** Keys of the requests among them. */
  readonly received: ReadonlySet<string>;
  readonly server: SmallServer;
}

type State = readonly Past[];

/**
 * Explores all runs from `start` of at most `steps` steps and `campaigns` campaigns; returns how many states there are.
 *
 * @throws {Error} if one breaks a property of figure 3, with what has happened to each server
 */
export function explore(start: Start, steps: number, campaigns: number): number {
  const pasts = new Map<string, Past>();
  const remember = (at: number, happened: readonly Happening[], received: ReadonlySet<string>): Past => {
    const server = new SmallServer(IDS[at]!, start.disks[at]!);
    for (const happening of happened) server.happens(happening);
    return { number: pasts.size, happened, received, server };
  };
  const after = (past: Past, at: number, happening: Happening, key: string): Past => {
    const whole = `${past.number} ${key}`;
    const known = pasts.get(whole);
    if (known !== undefined) return known;
    const made = remember(at, [...past.happened, happening], new Set(past.received).add(key));
    pasts.set(whole, made);
    return made;
  };

  const seen = new Set<string>();
  let frontier: { readonly state: State; readonly campaigns: number }[] = [
    { state: IDS.map((_, at) => ({ ...remember(at, [], new Set()), number: -at - 1 })), campaigns: 0 },
  ];
  for (let step = 0; step < steps; step++) {
    const next: typeof frontier = [];
    const visit = (state: State, campaignsMade: number) => {
      const key = state.map(({ number }) => number).join();
      if (seen.has(key)) return;
      seen.add(key);
      check(start, state);
      next.push({ state, campaigns: campaignsMade });
    };
    for (const { state, campaigns: made } of frontier) {
      const top = Math.max(...state.map(({ server }) => server.term));
      state.forEach((past, at) => {
        const { server } = past;
        if (made < campaigns && server.role !== "leader") {
          for (const term of new Set([server.term, top]))
            visit(state.with(at, after(past, at, { kind: "campaign", term }, `campaign ${term}`)), made + 1);
        }
        state.forEach((other, from) => {
          for (const { message, key } of requests(other.server, past)) {
            const reached = after(past, at, { kind: "receive", from: IDS[from]!, message }, key);
            visit(state.with(at, reached), made);
            let answered = other;
            for (const reply of answers(past.server, reached.server, other.server))
              answered = after(
                answered,
                from,
                { kind: "receive", from: server.id, message: reply.message },
                reply.key,
              );
            if (answered !== other) visit(state.with(at, reached).with(from, answered), made);
          }
        });
      });
    }
    frontier = next;
  }
  return seen.size;
}

/** What `from` has asked of a server that has not received it and whose term is not above it (then it would be ignored). */
function requests(from: SmallServer, { server, received }: Past) {
  return from.sent.filter(
    ({ to, message, key }) =>
      to === server.id &&
      !message.kind.endsWith("Reply") &&
      message.term >= server.term &&
      !received.has(key),
  );
}

/** What a server has answered to `asker` between two moments of its history. */
function answers(before: SmallServer, now: SmallServer, asker: SmallServer) {
  return now.sent
    .slice(before.sent.length)
    .filter(({ to, message }) => to === asker.id && message.kind.endsWith("Reply"));
}

function check(start: Start, state: State): void {
  const broken = brokenProperty(
    start,
    state.map(({ server }) => server),
  );
  if (broken === undefined) return;
  const lives = state.map(({ server, happened }) => {
    const steps = happened.map((it) =>
      it.kind === "campaign"
        ? `campaigns after ${it.term}`
        : `${it.from}: ${it.message.kind} of ${it.message.term}`,
    );
    return `${server.id}: ${steps.join(", ")}`;
  });
  throw new Error(`${broken}, from ${JSON.stringify(start)}\n${lives.join("\n")}`);
}

function brokenProperty({ committed }: Start, servers: readonly SmallServer[]): string | undefined {
  const leaders = servers.flatMap(({ ledTerms }) => ledTerms);
  if (new Set(leaders).size < leaders.length) return "election safety: two leaders of a term";
  const terms = new Map(committed.map((term, i) => [i + 1, term]));
  for (const { applied } of servers) {
    for (const { index, term } of applied) {
      if ((terms.get(index) ?? term) !== term) return `state machine safety: two entries at ${index}`;
      terms.set(index, term);
    }
  }
  for (const { log } of servers) {
    for (const { log: other } of servers) if (!doMatch(log, other)) return "log matching";
  }
  const top = Math.max(...servers.map(({ term }) => term));
  const newest = servers.find(({ role, term }) => role === "leader" && term === top);
  if (newest === undefined) return undefined;
  const isComplete = [...terms].every(([index, term]) => newest.log[index - 1]?.term === term);
  return isComplete ? undefined : `leader completeness: ${newest.id} leads ${top} without what is committed`;
}

/** Below an entry of the same term at the same index everything is the same. */
function doMatch(log: SmallServer["log"], other: SmallServer["log"]): boolean {
  let at = Math.min(log.length, other.length) - 1;
  while (at >= 0 && log[at]!.term !== other[at]!.term) at--;
  for (; at >= 0; at--) if (log[at]!.term !== other[at]!.term) return false;
  return true;
}
