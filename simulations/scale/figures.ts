/** What a simulated mesh of one size costs, and how figures are made of samples. */

/** Of one size. Bytes as the links carry them; what TLS, TCP, IP and Ethernet add is in `wireBytes`. */
export interface ScaleFigures {
  readonly nodes: number;
  /** What was simulated: whole nodes, or the mesh layer among puppets. */
  readonly kind: "whole nodes" | "mesh layer";
  /** Cold start until all are linked with all. Puppets dial by themselves: not measured with them. */
  readonly formationMs: number | undefined;
  /** Sent and received by one node in a second when nothing happens. */
  readonly idle: {
    readonly median: Traffic;
    /** The median of those with a replica of the log, without the leader. */
    readonly replica: Traffic;
    readonly leader: Traffic | undefined;
  };
  /** A new filter: from SUBSCRIBE until the SUBACK barrier is open, in ms. */
  readonly interestMs: Quantiles;
  /** A power cut: until another node knows that it is suspect, and dead. */
  readonly suspectMs: Quantiles;
  readonly deadMs: Quantiles;
  /** It is switched on again: until another node has a link to it, from the start of its process. */
  readonly backMs: Quantiles;
  /** Added by one retained write of 100 bytes: what the leader, and another node with a replica, send and receive. */
  readonly write: Write;
  /** Heap of one node, with its part of the simulation. */
  readonly heapMiB: number;
}

export interface Write {
  readonly leaderBytes: number;
  readonly otherBytes: number;
  /** By the formula, not measured. */
  readonly isCalculated: boolean;
}

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

/** Per second. */
export interface Traffic {
  readonly bytes: number;
  readonly pieces: number;
}

/** As the voter policy: nodes above that have no replica of the log. */
export const REPLICAS_MAX = 32;
const WRITE_BYTES = 100;
/** Around the payload, with a topic of 14 bytes: from the node that took it to the leader, and from there to each follower. */
const PROPOSAL_BYTES = 82;
const ENTRY_BYTES = 90;
/** A follower's answer, the word that it is committed, the answer to that. */
const ANSWERS_BYTES = 3 * 49;

/** One retained write by the formula of docs/scale.md. Above 32 the log does not grow. */
export function calculatedWrite(nodes: number): Write {
  const followers = Math.min(nodes, REPLICAS_MAX) - 1;
  const otherBytes = WRITE_BYTES + ENTRY_BYTES + ANSWERS_BYTES;
  const leaderBytes = followers * otherBytes + WRITE_BYTES + PROPOSAL_BYTES;
  return { leaderBytes, otherBytes, isCalculated: true };
}

/**
 * Added to each piece: TLS 1.2 record of ChaCha20-Poly1305 (5 + 16), TCP with timestamps (32), IPv4 (20), Ethernet (14).
 * And an acknowledgement for each (32 + 20 + 14): more than there are, since most ride on an answer.
 */
const PIECE_BYTES = 21 + 66;
const ACKNOWLEDGEMENT_BYTES = 66;

export function wireBytes({ bytes, pieces }: Traffic): number {
  return bytes + pieces * (PIECE_BYTES + ACKNOWLEDGEMENT_BYTES);
}

export function quantiles(samples: readonly number[]): Quantiles {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

/** Counts what each machine sends and receives. */
export class TrafficMeter {
  readonly #bytes: Float64Array;
  readonly #pieces: Float64Array;

  constructor(machines: number) {
    this.#bytes = new Float64Array(machines);
    this.#pieces = new Float64Array(machines);
  }

  carried(from: number, to: number, bytes: number): void {
    for (const machine of [from, to]) {
      this.#bytes[machine] = (this.#bytes[machine] ?? 0) + bytes;
      this.#pieces[machine] = (this.#pieces[machine] ?? 0) + 1;
    }
  }

  reset(): void {
    for (const counts of [this.#bytes, this.#pieces]) counts.fill(0);
  }

  of(machine: number, seconds: number): Traffic {
    return { bytes: (this.#bytes[machine] ?? 0) / seconds, pieces: (this.#pieces[machine] ?? 0) / seconds };
  }

  /** The traffic of the machine in the middle, by bytes. */
  median(machines: readonly number[], seconds: number): Traffic {
    const sorted = machines.map((machine) => this.of(machine, seconds)).sort((a, b) => a.bytes - b.bytes);
    return sorted[Math.floor(sorted.length / 2)] ?? { bytes: 0, pieces: 0 };
  }
}

/** Bytes in use after everything that is garbage is gone. */
export function heapBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
