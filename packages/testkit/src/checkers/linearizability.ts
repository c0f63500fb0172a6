/**
 * Decides whether reads and writes of one register are linearizable: whether each can be given one instant between its
 * call and its return so that every read returns the value written last.
 *
 * Depth-first search: any operation that was called before the first pending one returned may come next; configurations
 * (set of placed operations, value) seen before are not tried again. Two things keep it small. At an instant when
 * nothing is pending the history is cut, and only the possible values are carried over. A write that may never have
 * happened and that nobody read can be left out; one that was read has happened by the end of that read.
 *
 * Source: Wing and Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for linearizability" (2017);
 * Porcupine's checker.go.
 */

/** What a register holds: the id of a payload, or null where there is none. */
export type RegisterValue = string | null;

export interface Operation {
  readonly kind: "read" | "write";
  readonly value: RegisterValue;
  /** Instant of the call, ms. */
  readonly from: number;
  /** Instant of the return, ms; Infinity: it never returned, and a write like that may or may not take effect. */
  readonly to: number;
}

export type Verdict =
  | { readonly kind: "linearizable" }
  /** `operations`: the shortest stretch of the history for which no order exists. */
  | { readonly kind: "violation"; readonly operations: readonly Operation[] }
  /** Too many operations at the same time to tell. */
  | { readonly kind: "undecided"; readonly operations: readonly Operation[] };

/** Configurations tried per stretch of the history before the search gives up. */
const CONFIGURATIONS_MAX = 200_000;

/**
 * Checks the history of one register that begins as one of `initial`.
 *
 * Values are written at most once each, except where a client sent the same write twice.
 *
 * @example
 * ```ts
 * checkLinearizable([{ kind: "write", value: "a", from: 0, to: 5 }, { kind: "read", value: null, from: 6, to: 7 }], [null]);
 * // { kind: "violation", operations: [...] }
 * ```
 */
export function checkLinearizable(history: readonly Operation[], initial: readonly RegisterValue[]): Verdict {
  const { certain, optional } = decided(history);
  let states: readonly State[] = initial.map((value) => ({ value, used: 0n }));
  for (const stretch of stretches(certain)) {
    const after = statesAfter(stretch, optional, states);
    const operations = [...stretch, ...optional];
    if (after === undefined) return { kind: "undecided", operations };
    if (after.length === 0) return { kind: "violation", operations };
    states = after;
  }
  return { kind: "linearizable" };
}

/** What may be true at an instant: the value, and which optional writes have happened (a set of bits). */
interface State {
  readonly value: RegisterValue;
  readonly used: bigint;
}

/** Leaves out writes that need not have happened, and gives an end to those that have. */
function decided(history: readonly Operation[]): { certain: Operation[]; optional: Operation[] } {
  const firstReadTo = new Map<RegisterValue, number>();
  const writes = new Map<RegisterValue, number>();
  for (const { kind, value, to } of history) {
    if (kind === "write") writes.set(value, (writes.get(value) ?? 0) + 1);
    else firstReadTo.set(value, Math.min(to, firstReadTo.get(value) ?? Number.POSITIVE_INFINITY));
  }
  const certain: Operation[] = [];
  const optional: Operation[] = [];
  for (const operation of history) {
    const { kind, value } = operation;
    const readTo = firstReadTo.get(value);
    if (kind === "read" || Number.isFinite(operation.to)) certain.push(operation);
    else if (readTo === undefined) continue;
    // Another write of the same value, or the beginning, may be what was read.
    else if (value === null || writes.get(value) !== 1) optional.push(operation);
    else if (operation.from <= readTo) certain.push({ ...operation, to: readTo });
  }
  return { certain, optional };
}

/** Cuts a history where nothing is pending. */
function* stretches(history: readonly Operation[]): Generator<Operation[]> {
  const sorted = [...history].sort((a, b) => a.from - b.from || a.to - b.to);
  let stretch: Operation[] = [];
  let pendingTo = Number.NEGATIVE_INFINITY;
  for (const operation of sorted) {
    if (stretch.length > 0 && operation.from > pendingTo) {
      yield stretch;
      stretch = [];
    }
    stretch.push(operation);
    pendingTo = Math.max(pendingTo, operation.to);
  }
  if (stretch.length > 0) yield stretch;
}

/** Every state the register may be in after `stretch`; undefined if there are too many ways to try. */
function statesAfter(
  stretch: readonly Operation[],
  optional: readonly Operation[],
  initial: readonly State[],
): readonly State[] | undefined {
  const all = (1n << BigInt(stretch.length)) - 1n;
  const end = Math.max(...stretch.map(({ to }) => to));
  const results: State[] = [];
  const seen = new Set<string>();
  const open = initial.map((state) => ({ ...state, placed: 0n }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { placed, value, used } = next;
    const key = `${placed.toString(36)} ${used.toString(36)} ${JSON.stringify(value)}`;
    if (seen.has(key)) continue;
    seen.add(key);
    if (seen.size > CONFIGURATIONS_MAX) return undefined;
    if (placed === all) results.push({ value, used });
    const before = Math.min(end, firstReturn(stretch, placed));
    stretch.forEach((operation, i) => {
      if (operation.from > before || (placed & bit(i)) !== 0n) return;
      if (operation.kind === "write") open.push({ placed: placed | bit(i), value: operation.value, used });
      else if (operation.value === value) open.push({ placed: placed | bit(i), value, used });
    });
    optional.forEach((operation, i) => {
      if (operation.from > before || (used & bit(i)) !== 0n) return;
      open.push({ placed, value: operation.value, used: used | bit(i) });
    });
  }
  return withoutDominated(results);
}

/** A state that has used fewer optional writes can do everything that one with the same value and more can. */
function withoutDominated(states: readonly State[]): readonly State[] {
  return states.filter(
    (state) =>
      !states.some(
        (other) =>
          other.value === state.value &&
          other.used !== state.used &&
          (other.used & state.used) === other.used,
      ),
  );
}

/** When the first operation that is not placed returns: what was called later cannot come before it. */
function firstReturn(operations: readonly Operation[], placed: bigint): number {
  let first = Number.POSITIVE_INFINITY;
  operations.forEach(({ to }, i) => {
    if ((placed & bit(i)) === 0n) first = Math.min(first, to);
  });
  return first;
}

function bit(i: number): bigint {
  return 1n << BigInt(i);
}
