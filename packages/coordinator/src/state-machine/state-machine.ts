/**
 * What every node computes from the log, entry by entry, with the same result everywhere.
 *
 * A command is decoded as a whole, judged by the sequencer, then carried out; malformed, repeated or fenced commands
 * change nothing and are counted. No clock, no randomness, no order of arrival enters here (reference design, trap
 * 11): equal logs give byte-equal snapshots. What is kept is copied, so that a retained message of 20 bytes does not
 * hold on to the link buffer of 64 KiB it came in.
 */

import { type ApplicationMessage, ByteWriter, encodeMessage, SkeinError } from "@skein/kernel";
import { writeNodeId } from "../wire-ids.ts";
import { type Command, decodeCommand, type Operation } from "./commands.ts";
import { RetainedState } from "./retained-state.ts";
import { Sequencer } from "./sequencer.ts";
import { itemHash } from "./set-hash.ts";
import { decodeSnapshot, encodeSnapshot, type ReplicatedState } from "./snapshot.ts";

/** What became of one command. `full`: its proposer's turn is over, but the store had no room for it. */
type Outcome = "applied" | "full" | "repeated" | "gap" | "fenced" | "malformed";

export interface Applied {
  readonly outcome: Outcome;
  /** Undefined if malformed. */
  readonly command: Command | undefined;
}

const MALFORMED: Applied = { outcome: "malformed", command: undefined };

export class StateMachine {
  readonly sequencer = new Sequencer();
  readonly retained = new RetainedState();
  /** Commands by outcome since start; not part of the replicated state. */
  readonly outcomes = { applied: 0, full: 0, repeated: 0, gap: 0, fenced: 0, malformed: 0 };
  /** For lengths and hashes of encoded messages. */
  readonly #measure = new ByteWriter(1024);

  /** Carries out the command `bytes` of the log entry `index`. Never throws on what stands in the log. */
  apply(bytes: Uint8Array, index: number): Applied {
    const applied = this.#take(bytes, index);
    this.outcomes[applied.outcome]++;
    return applied;
  }

  /** The state as bytes; equal states give equal bytes. */
  snapshot(): Uint8Array {
    return encodeSnapshot({ proposers: this.sequencer.rows(), retained: this.retained.sorted() });
  }

  /** The state in short: equal states give equal texts. Cheap: a few rows of proposers are looked at, no messages. */
  stateHash(): string {
    const out = this.#measure.reset();
    out.varint(this.retained.count).varint(this.retained.bytes).varint(this.retained.hash);
    for (const row of this.sequencer.rows()) {
      writeNodeId(row.node, out);
      out.varint(row.incarnation).varint(row.last).varint(row.index);
    }
    return itemHash(out.finish()).toString(16);
  }

  /** Replaces the state. Changes nothing if it throws. @throws {SkeinError} ERR_SKEIN_MALFORMED */
  restore(bytes: Uint8Array): void {
    const state: ReplicatedState = decodeSnapshot(bytes);
    this.sequencer.restore(state.proposers);
    this.retained.clear();
    for (const message of state.retained) this.#set(message);
  }

  #take(bytes: Uint8Array, index: number): Applied {
    const command = decodeOrUndefined(bytes);
    if (command === undefined) return MALFORMED;
    const verdict = this.sequencer.take(command.envelope, index);
    if (verdict !== "next") return { outcome: verdict, command };
    return { outcome: this.#carryOut(command.operation) ? "applied" : "full", command };
  }

  #carryOut(operation: Operation): boolean {
    if (operation.kind === "retainedDelete") {
      this.retained.delete(operation.topic);
      return true;
    }
    return this.#set(operation.message);
  }

  /** Copied one by one: a view would keep a whole snapshot alive for as long as one of its messages lives. */
  #set(message: ApplicationMessage): boolean {
    const measure = this.#measure.reset();
    encodeMessage(message, measure);
    return this.retained.set(ownCopy(message), measure.length, itemHash(measure.finish()));
  }
}

/** The message with payload and correlation data of its own. (`slice` of a Node Buffer would be a view.) */
function ownCopy(message: ApplicationMessage): ApplicationMessage {
  const { properties } = message;
  const correlationData = properties?.correlationData;
  return {
    ...message,
    payload: new Uint8Array(message.payload),
    properties:
      correlationData === undefined
        ? properties
        : { ...properties, correlationData: new Uint8Array(correlationData) },
  };
}

function decodeOrUndefined(bytes: Uint8Array): Command | undefined {
  try {
    return decodeCommand(bytes);
  } catch (error) {
    // The log is replicated as it is: every node finds the same entry malformed and skips it.
    if (error instanceof SkeinError) return undefined;
    throw error;
  }
}
