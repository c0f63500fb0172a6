/**
 * Bounds the young generation of V8's heap.
 *
 * It doubles while most of it survives, as when thousands of clients connect, up to 128 MB in Node 24, and keeps its size for minutes: more
 * than those connections need. A bound can only be given on the command line, and a program does not choose its own (`env -S` is
 * unknown to BusyBox and some BSDs). But V8 reads the factor by which it grows each time it may grow: once the young generation is large
 * enough, the factor is one. What V8 makes smaller in quiet times may grow again.
 *
 * Source: V8, Heap::ExpandNewSpaceSize; sizes measured in docs/performance.md.
 */

import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

/**
 * Both halves of it. An eighth of this, to which V8 shrinks it, costs a third more CPU per message in bursts of 64 bytes; twice
 * as much saves nothing.
 */
const YOUNG_BYTES_ENOUGH = 16 * 1024 * 1024;
/** V8's own. */
const GROWTH_FACTOR = 2;

/**
 * It hardly grows until it is bounded: while a program is read nearly everything survives, and the room would stay for what comes only
 * once. Call it before most of it is loaded.
 */
export function holdYoungGeneration(): void {
  setGrowthFactor(1);
}

/** From now on it grows until it is large enough. Once, for the whole process. */
export function boundYoungGeneration(): void {
  let factor = 1;
  const adapt = (): void => {
    const wanted = youngBytes() < YOUNG_BYTES_ENOUGH ? GROWTH_FACTOR : 1;
    if (wanted === factor) return;
    factor = wanted;
    setGrowthFactor(factor);
  };
  // Its size changes in collections, and at no other time.
  new PerformanceObserver(adapt).observe({ entryTypes: ["gc"] });
  adapt();
}

function setGrowthFactor(factor: number): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`);
}

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === "new_space")?.space_size ?? 0;
}
