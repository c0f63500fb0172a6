/**
 * Decides whether reads and writes of one register are linearizable: whether each can be given one instant between its
 * call and its return so that every read returns the value written last.
 *
 * Depth-first search: any operation that was called before the first pending one returned may come next;
 * configurations (set of placed operations, value) seen before are not tried again. What keeps it small, at each step
 * without losing a solution:
 *
 * - At an instant when nothing is pending the history is cut, and only the possible values are carried over.
 * - A read that fits now is placed now: it changes nothing for the others.
 * - A write that nobody reads is placed just before another write as soon as it may be: there it changes nothing either.
 * - A value that is still to be read, and that nothing can write again, is not overwritten.
 * - A write that may never have happened and that nobody read is left out; one that was read has happened by the end of that
 *   read; where another may have been meant, it is placed only right before a read that needs it.
 *
 * So it branches over the order of the writes that somebody read, and over nothing else.
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
  /**
   * `operations`: the first stretch of the history for which no order exists; `before`: what may have been there
   * before it.
   */
  | {
      readonly kind: "violation";
      readonly operations: readonly Operation[];
      readonly before: readonly RegisterValue[];
    }
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
 * checkLinearizable([{ kind: "write", value: "a", from: 0, to: 5 }, { kind: "read", value: null, from: 6, to: 7 }],
 * [null]); // { kind: "violation", operations: [...], before: ["a"] }
 * ```
 */
export function checkLinearizable(history: readonly Operation[], initial: readonly RegisterValue[]): Verdict {
  const { certain, optional } = decided(history);
  const readValues = new Set(history.filter(({ kind }) => kind === "read").map(({ value }) => value));
  let states: readonly State[] = initial.map((value) => ({ value, used: 0n }));
  for (const stretch of stretches(certain)) {
    const after = new Stretch(stretch, optional, readValues).statesAfter(states);
    const operations = [...stretch, ...optional];
    if (after === undefined) return { kind: "undecided", operations };
    if (after.length === 0) return { kind: "violation", operations, before: valuesOf(states) };
    states = after;
  }
  return { kind: "linearizable" };
}

/** An operation in words, for messages. */
export function describe({ kind, value, from, to }: Operation): string {
  return `${kind} ${value === null ? "nothing" : `"${value}"`} from ${from} to ${to} ms`;
}

/** The value of a register that a write nobody reads has changed. */
const UNREAD = Symbol("unread");

/** What may be true at an instant: the value, and which optional writes have happened (a set of bits). */
interface State {
  readonly value: RegisterValue | typeof UNREAD;
  readonly used: bigint;
}

/** A state in the middle of a stretch, with the set of its operations that have been placed. */
interface Configuration extends State {
  readonly placed: bigint;
}

function valuesOf(states: readonly State[]): readonly RegisterValue[] {
  return states.flatMap(({ value }) => (typeof value === "symbol" ? [] : [value]));
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

/** The search through one stretch of a history. */
class Stretch {
  readonly #operations: readonly Operation[];
  readonly #optional: readonly Operation[];
  readonly #readValues: ReadonlySet<RegisterValue>;
  readonly #end: number;

  constructor(
    operations: readonly Operation[],
    optional: readonly Operation[],
    readValues: ReadonlySet<RegisterValue>,
  ) {
    this.#operations = operations;
    this.#optional = optional;
    this.#readValues = readValues;
    this.#end = Math.max(...operations.map(({ to }) => to));
  }

  /** Every state the register may be in afterwards; undefined if there are too many ways to try. */
  statesAfter(initial: readonly State[]): readonly State[] | undefined {
    const all = bit(this.#operations.length) - 1n;
    const results: State[] = [];
    const seen = new Set<string>();
    const open = initial.map((state) => this.#withReads({ ...state, placed: 0n }));
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { placed, value, used } = next;
      const key = `${placed.toString(36)} ${used.toString(36)} ${typeof value === "symbol" ? "" : JSON.stringify(value)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      if (seen.size > CONFIGURATIONS_MAX) return undefined;
      if (placed === all) results.push({ value, used });
      for (const after of this.#writes(next)) open.push(this.#withReads(after));
    }
    return withoutDominated(results);
  }

  /** Places all reads that fit. */
  #withReads(configuration: Configuration): Configuration {
    const { value } = configuration;
    return {
      ...configuration,
      placed: this.#place(configuration.placed, (it) => it.kind === "read" && it.value === value),
    };
  }

  /** Every configuration that one more write leads to. */
  *#writes(configuration: Configuration): Generator<Configuration> {
    if (this.#isStillNeeded(configuration)) return;
    const { placed, used } = configuration;
    const isUnread = ({ kind, value }: Operation): boolean =>
      kind === "write" && !this.#readValues.has(value);
    const base = this.#place(placed, isUnread);
    if (base !== placed) yield { placed: base, value: UNREAD, used };
    const before = this.#firstReturn(base);
    const wanted = new Set<RegisterValue>();
    for (const [i, { kind, value, from }] of this.#operations.entries()) {
      if (from > before || (base & bit(i)) !== 0n) continue;
      if (kind === "write") yield { placed: base | bit(i), value, used };
      else wanted.add(value);
    }
    for (const [i, { value, from }] of this.#optional.entries()) {
      if (from > before || (used & bit(i)) !== 0n || !wanted.delete(value)) continue;
      yield { placed: base, value, used: used | bit(i) };
    }
  }

  /** A read waits for the present value, and nothing is left that could write it once more. */
  #isStillNeeded({ placed, used, value }: Configuration): boolean {
    let isRead = false;
    for (const [i, operation] of this.#operations.entries()) {
      if (operation.value !== value || (placed & bit(i)) !== 0n) continue;
      if (operation.kind === "write") return false;
      isRead = true;
    }
    if (!isRead) return false;
    return !this.#optional.some((operation, i) => operation.value === value && (used & bit(i)) === 0n);
  }

  /** Adds everything of a kind that may come next, again and again. */
  #place(placed: bigint, isWanted: (operation: Operation) => boolean): bigint {
    for (let now = placed; ; ) {
      const before = this.#firstReturn(now);
      const earlier = now;
      for (const [i, operation] of this.#operations.entries()) {
        if (operation.from <= before && (now & bit(i)) === 0n && isWanted(operation)) now |= bit(i);
      }
      if (now === earlier) return now;
    }
  }

  /** When the first operation that is not placed returns: what was called later cannot come before it. */
  #firstReturn(placed: bigint): number {
    let first = this.#end;
    for (const [i, { to }] of this.#operations.entries()) {
      if (to < first && (placed & bit(i)) === 0n) first = to;
    }
    return first;
  }
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

function bit(i: number): bigint {
  return 1n << BigInt(i);
}
