/**
 * How many clients each node had a moment ago.
 *
 * A node that hands over resets its clients first, and its last word counts none of them any more. So the largest number of
 * the last few seconds is remembered, in two buckets.
 */

import type { ClientCounts } from "./incident.ts";
import type { MeshView } from "./mesh-view.ts";

const BUCKET_MS = 5000;

interface Counts {
  last: number;
  current: number;
  previous: number;
}

export class ClientPeaks {
  readonly #counts = new Map<string, Counts>();
  #bucketSince = 0;

  observe(view: MeshView, now: number): void {
    const isNewBucket = now - this.#bucketSince >= BUCKET_MS;
    if (isNewBucket) this.#bucketSince = now;
    for (const { id, clients } of view.members) {
      const counts = this.#counts.get(id) ?? { last: 0, current: 0, previous: 0 };
      this.#counts.set(id, counts);
      if (isNewBucket) {
        counts.previous = counts.current;
        counts.current = clients;
      }
      counts.current = Math.max(counts.current, clients);
      counts.last = clients;
    }
    if (this.#counts.size > view.members.length) this.#forget(view);
  }

  snapshot(): ClientCounts {
    return new Map(
      [...this.#counts].map(([id, { last, current, previous }]) => {
        return [id, { last, peak: Math.max(current, previous) }];
      }),
    );
  }

  #forget({ members }: MeshView): void {
    const known = new Set(members.map(({ id }) => id));
    for (const id of this.#counts.keys()) if (!known.has(id)) this.#counts.delete(id);
  }
}
