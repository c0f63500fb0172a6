/**
 * One life of a simulated process: from its start to its crash or stop, with its turns of the event loop.
 *
 * Whatever a process does to the outside goes through `effect`, the boundary at which the world may end it: a crash between
 * any two effects is an exception that unwinds the shipped code and is caught here, and from then on nothing of this life
 * happens any more. While it is paused (SIGSTOP) its input waits.
 */

import type { Clock, MonotonicMs, Timer } from "@skein/kernel";
import type { EventQueue } from "./event-queue.ts";

/** Thrown through the code of a process that dies in the middle of a step. */
class ProcessDied extends Error {}

/** How a machine's clocks differ from the world's. */
export interface MachineClock {
  /** Ms of monotonic time per ms of the world. */
  readonly rate: number;
  /** The world's time at which this machine was switched on. */
  bootedAt: number;
  /** So long it has slept since then: its monotonic clock stood still, in ms of the world. */
  sleptMs: number;
  /** Since when it sleeps now, in ms of the world. */
  asleepSince?: number | undefined;
  /** Added to the wall clock, in ms; steps and years off are normal. */
  wallOffsetMs: number;
}

/** Times are multiples of this, so that equal instants are equal numbers. A power of two. */
const GRAIN_MS = 1 / 64;
const WALL_START_MS = 1_700_000_000_000;
const TURN_CALLBACKS_MAX = 100_000;

export class SimProcess {
  readonly clock: Clock;
  readonly #events: EventQueue;
  readonly #died: () => void;
  #isAlive = true;
  #isPaused = false;
  #isRunning = false;
  #turnEnd: (() => void)[] = [];
  #deferred: (() => void)[] = [];
  #effectsLeft = Number.POSITIVE_INFINITY;
  /** Called after each turn of the event loop. */
  afterTurn: () => void = () => {};

  constructor(events: EventQueue, machine: MachineClock, died: () => void) {
    this.#events = events;
    this.#died = died;
    this.clock = this.#makeClock(machine);
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** One turn of its event loop: `input`, then what it wants to do at the end of the turn. */
  turn(input: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isPaused) {
      this.#deferred.push(input);
      return;
    }
    // A port that calls back at once is part of the turn that is under way.
    if (this.#isRunning) {
      input();
      return;
    }
    this.#isRunning = true;
    try {
      input();
      for (let count = 0; this.#turnEnd.length > 0; count++) {
        if (count > TURN_CALLBACKS_MAX) throw new Error("a turn that never ends");
        const callbacks = this.#turnEnd;
        this.#turnEnd = [];
        for (const callback of callbacks) callback();
      }
    } catch (error) {
      if (!(error instanceof ProcessDied)) throw error;
    } finally {
      this.#isRunning = false;
    }
    if (this.#isAlive) this.afterTurn();
  }

  /** The process is about to do something outside. False: it is dead, nothing may happen. */
  effect(): boolean {
    if (!this.#isAlive) return false;
    if (--this.#effectsLeft > 0) return true;
    this.kill();
    this.#died();
    throw new ProcessDied("the process died between two effects");
  }

  /** It dies instead of effect number `effects` from now on. */
  dieAfter(effects: number): void {
    this.#effectsLeft = effects;
  }

  kill(): void {
    this.#isAlive = false;
    this.#turnEnd = [];
    this.#deferred = [];
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const input of deferred) this.turn(input);
  }

  #makeClock(machine: MachineClock): Clock {
    const events = this.#events;
    const { rate } = machine;
    return {
      monotonicMs: () =>
        (((machine.asleepSince ?? events.now) - machine.bootedAt - machine.sleptMs) * rate) as MonotonicMs,
      wallMs: () => WALL_START_MS + events.now + machine.wallOffsetMs,
      after: (delayMs, callback): Timer => {
        // Rounded up: a timer that fires a hair too early would be set again for the hair that is left, for ever.
        const at = Math.ceil((events.now + Math.max(0, delayMs) / rate) / GRAIN_MS + 1e-6) * GRAIN_MS;
        let isCancelled = false;
        const scheduled = events.at(at, () =>
          this.turn(() => {
            if (!isCancelled) callback();
          }),
        );
        return {
          cancel: () => {
            isCancelled = true;
            scheduled.cancel();
          },
        };
      },
      atTurnEnd: (callback) => {
        this.#turnEnd.push(callback);
        // Asked for from outside a turn (the world called the node directly): the turn ends by itself.
        if (!this.#isRunning && this.#turnEnd.length === 1) events.after(0, () => this.turn(() => {}));
      },
    };
  }
}
