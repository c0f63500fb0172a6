/**
 * The one time line of a simulated world: a binary heap of calls, by time and, at equal times, in the order they were asked for.
 *
 * Every event of a simulation passes through here, so it is kept plain: no closure per comparison, cancelled calls stay in
 * the heap and are passed over when they come up.
 */

export interface Scheduled {
  cancel(): void;
}

class Call implements Scheduled {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;

  constructor(at: number, order: number, run: () => void) {
    this.at = at;
    this.order = order;
    this.run = run;
  }

  cancel(): void {
    this.run = undefined;
  }
}

export class EventQueue {
  readonly #heap: Call[] = [];
  #order = 0;
  #now = 0;
  /** Calls carried out. */
  count = 0;

  /** The world's ms since its start. */
  get now(): number {
    return this.#now;
  }

  /** Calls `run` at the world's time `at`, or now if that has passed. */
  at(at: number, run: () => void): Scheduled {
    const call = new Call(Math.max(at, this.#now), this.#order++, run);
    this.#push(call);
    return call;
  }

  after(delayMs: number, run: () => void): Scheduled {
    return this.at(this.#now + delayMs, run);
  }

  /** Carries out everything that is due up to and with `until`; time is `until` afterwards. */
  runUntil(until: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      this.#pop();
      const { run } = next;
      if (run === undefined) continue;
      this.#now = next.at;
      this.count++;
      run();
    }
    this.#now = until;
  }

  #push(call: Call): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(call);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Call;
      if (isBefore(parent, call)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = call;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Call;
    const { length } = heap;
    if (length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= length) break;
      if (below + 1 < length && isBefore(heap[below + 1] as Call, heap[below] as Call)) below++;
      const child = heap[below] as Call;
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(a: Call, b: Call): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
