/** The clock port on Node's timers. */

import { performance } from "node:perf_hooks";
import type { Clock, MonotonicMs, Timer } from "@skein/kernel";

/** Longest delay a Node timer takes; longer ones it would fire at once. */
const TIMER_MS_MAX = 2_147_483_647;

/** Time of this machine. Timers keep the process alive until they are cancelled or have fired. */
export function systemClock(): Clock {
  let atTurnEnd: (() => void)[] = [];

  /** One immediate for all callbacks of a turn: it runs after the poll phase, when waiting input has been read. */
  const runTurnEnd = (): void => {
    const callbacks = atTurnEnd;
    atTurnEnd = [];
    for (const callback of callbacks) callback();
  };

  return {
    monotonicMs: () => performance.now() as MonotonicMs,
    wallMs: () => Date.now(),
    after: (delayMs, callback) => startTimer(delayMs, callback),
    atTurnEnd: (callback) => {
      if (atTurnEnd.push(callback) === 1) setImmediate(runTurnEnd);
    },
  };
}

function startTimer(delayMs: number, callback: () => void): Timer {
  let timer: NodeJS.Timeout;
  const wait = (leftMs: number): void => {
    // Node rounds down and may fire up to a millisecond early; `after` promises "not before".
    const stepMs = Math.min(Math.ceil(Math.max(0, leftMs)), TIMER_MS_MAX);
    timer = setTimeout(() => {
      const stillMs = dueAt - performance.now();
      if (stillMs > 0) wait(stillMs);
      else callback();
    }, stepMs);
  };
  const dueAt = performance.now() + delayMs;
  wait(delayMs);
  return { cancel: () => clearTimeout(timer) };
}
