/** Sends this node's report to its linked peers, and keeps the newest one of each of them. */

import type { Clock, NodeId } from "@skein/kernel";
import { MANY_LINKS } from "@skein/mesh";
import { decodeReport, encodeReport, type NodeReport } from "./node-report.ts";

const EVERY_MS = 10_000;
/** With MANY_LINKS: reports grow with the square of the mesh, and an idle coordinator of twenty sends little else to most. */
const EVERY_MS_WITH_MANY = 20_000;

export interface ReportPorts {
  readonly clock: Pick<Clock, "monotonicMs" | "wallMs">;
  readonly send: (to: NodeId, bytes: Uint8Array) => void;
  /** Peers with a link, and the time to each and back. */
  readonly linked: () => ReadonlyMap<NodeId, number | undefined>;
  readonly own: () => Omit<NodeReport, "wallMs" | "messagesPerSecond">;
  /** Messages received from clients since the start. */
  readonly messages: () => number;
}

export interface ReceivedReport extends NodeReport {
  /** How far its wall clock is ahead of this node's. */
  readonly clockOffsetMs: number;
  /** Monotonic. */
  readonly receivedAt: number;
}

export class ReportExchange {
  readonly #ports: ReportPorts;
  readonly #received = new Map<NodeId, ReceivedReport>();
  #linked: ReadonlySet<NodeId> = new Set();
  /** Number of the interval in which all were told; what is due by the clock goes out together, in one wake-up. */
  #round = Number.NEGATIVE_INFINITY;
  #measuredAt = Number.NEGATIVE_INFINITY;
  #messages = 0;
  #messagesPerSecond = 0;

  constructor(ports: ReportPorts) {
    this.#ports = ports;
  }

  /** This node's report as it is now. */
  get own(): NodeReport {
    const { clock, own } = this.#ports;
    return { ...own(), wallMs: clock.wallMs(), messagesPerSecond: this.#messagesPerSecond };
  }

  /** The newest report of a linked peer. */
  of(node: NodeId): ReceivedReport | undefined {
    return this.#received.get(node);
  }

  /** Call it about once a second. */
  tick(): void {
    const now = this.#ports.clock.monotonicMs();
    const linked = new Set(this.#ports.linked().keys());
    for (const node of this.#received.keys()) if (!linked.has(node)) this.#received.delete(node);
    const newcomers = [...linked].filter((node) => !this.#linked.has(node));
    this.#linked = linked;
    const round = Math.floor(now / (linked.size < MANY_LINKS ? EVERY_MS : EVERY_MS_WITH_MANY));
    const isDue = round !== this.#round;
    this.#round = round;
    if (isDue) this.#measure(now);
    const to = isDue ? [...linked] : newcomers;
    if (to.length === 0) return;
    const bytes = encodeReport(this.own);
    for (const node of to) this.#ports.send(node, bytes);
  }

  /** A frame of a linked peer; whatever it holds, this never throws. */
  receive(from: NodeId, bytes: Uint8Array): void {
    const report = decodeReport(bytes);
    const linked = this.#ports.linked();
    if (report === undefined || !linked.has(from)) return;
    const wayMs = (linked.get(from) ?? 0) / 2;
    const clockOffsetMs = Math.round(report.wallMs + wayMs - this.#ports.clock.wallMs());
    const receivedAt = this.#ports.clock.monotonicMs();
    this.#received.set(from, { ...report, clockOffsetMs, receivedAt });
  }

  #measure(now: number): void {
    const messages = this.#ports.messages();
    const seconds = (now - this.#measuredAt) / 1000;
    this.#measuredAt = now;
    this.#messagesPerSecond = Number.isFinite(seconds)
      ? Math.round((messages - this.#messages) / seconds)
      : 0;
    this.#messages = messages;
  }
}
