/**
 * The shape every control-plane core has: one event in, effects out, nothing else.
 *
 * A core never waits, never reads a clock and never touches a socket or a file; randomness comes
 * from a seeded generator handed to its constructor. Completion of an effect (bytes on disk, timer
 * due) comes back as the next event. The same code therefore runs under the operating system and
 * under a simulator, and a seed replays it.
 *
 * The data plane (broker, forwarding) does not use this shape: it makes plain synchronous calls into
 * injected ports, because an effect object per message would cost more than the message.
 *
 * Prior art: etcd-io/raft `Ready`, rabbitmq/ra `ra_server:handle_*` returning effects.
 */

import type { MonotonicMs } from "./ids.ts";

/** A deterministic state machine. Equal state, event and `now` give equal effects. */
export interface Core<Event, Effect> {
  /**
   * Handles one event and returns the effects in the order they must be carried out.
   * Runs to completion. `now` never decreases between calls.
   */
  step(event: Event, now: MonotonicMs): readonly Effect[];

  /** Earliest instant at which the core wants a `wake` event, or undefined while it waits for others. */
  readonly wakeAt: MonotonicMs | undefined;
}
