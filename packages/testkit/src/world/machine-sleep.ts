/**
 * A machine that sleeps: its monotonic clock and the timers of its kernel stand still, the time since it was booted goes on.
 *
 * What its clock says of a lease afterwards is not true until a quorum has answered again, and the simulator does not take it for
 * true: that the node itself does not act on it is what is checked (address-watch.ts).
 */

import type { CoordinatorStatus } from "@skein/coordinator";
import type { Prng } from "@skein/kernel";
import type { EventQueue } from "./event-queue.ts";
import { type FloatingKernel, macOf } from "./floating-kernel.ts";
import { between } from "./random-streams.ts";
import type { MachineClock } from "./sim-process.ts";

/** The clocks of a machine that was switched on some time within the past day. */
export function machineClock(prng: Prng, ratePerMillion: number): MachineClock {
  return { rate: 1 + ratePerMillion / 1e6, bootedAt: -between(prng, 1000, 1e8), sleptMs: 0, wallOffsetMs: 0 };
}

export class MachineSleep {
  readonly #index: number;
  readonly #machine: MachineClock;
  readonly #events: EventQueue;
  readonly #floating: FloatingKernel;
  #naps = 0;
  /** Quorum contacts of before do not count, by its own clock. */
  #trustedFrom = 0;
  /** When it last woke up, in ms of the world; 0: never, or it sleeps. */
  wokenAt = 0;
  /** It fell asleep with the floating address. */
  heldAsleep = false;

  constructor(index: number, machine: MachineClock, events: EventQueue, floating: FloatingKernel) {
    this.#index = index;
    this.#machine = machine;
    this.#events = events;
    this.#floating = floating;
  }

  /** Calls `over` after `forMs`, unless it was woken, or its power was cut, before. */
  begin(forMs: number, over: () => void): void {
    this.wokenAt = 0;
    this.heldAsleep = this.#floating.fellAsleep(this.#index);
    this.#machine.asleepSince = this.#events.now;
    const nap = ++this.#naps;
    this.#events.after(forMs, () => {
      if (nap === this.#naps && this.#machine.asleepSince !== undefined) over();
    });
  }

  wake(): void {
    const { asleepSince, bootedAt, rate } = this.#machine;
    if (asleepSince === undefined) return;
    const { now } = this.#events;
    this.#machine.asleepSince = undefined;
    this.#machine.sleptMs += now - asleepSince;
    this.#floating.woken(this.#index, now - asleepSince);
    this.wokenAt = now;
    this.#trustedFrom = (now - bootedAt - this.#machine.sleptMs) * rate;
  }

  /** Its power was cut. */
  forget(): void {
    this.#naps++;
    this.#machine.asleepSince = undefined;
    this.#machine.sleptMs = 0;
    this.#trustedFrom = 0;
    this.wokenAt = 0;
    this.heldAsleep = false;
  }

  /** Until when the node holds the lease, in ms of the world; 0: it does not. */
  leaseUntil({ leaseUntil, quorumContactAt }: CoordinatorStatus): number {
    const { rate, bootedAt, sleptMs } = this.#machine;
    const isTrue = leaseUntil !== undefined && (quorumContactAt ?? 0) >= this.#trustedFrom;
    return isTrue ? bootedAt + sleptMs + leaseUntil / rate : 0;
  }

  /** The machine as its floating address must know it; `host`: its own address. */
  network(host: string) {
    const mac = macOf(this.#index);
    return {
      interfaceOf: (_name: string) => ({ mac, addresses: [{ address: host, prefixLength: 16 }] }),
      macs: () => [mac],
      bootMs: () => this.#events.now - this.#machine.bootedAt,
    };
  }
}
