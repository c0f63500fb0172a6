/** A run's result as a table for people, and as JSON for programs. */

import type { RunResult } from "./run.ts";

interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Percentiles, in the unit of the samples, to one decimal. */
function spreadOf(samples: readonly number[]): Spread {
  const sorted = Float64Array.from(samples).sort();
  const at = (share: number): number => {
    const sample = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
    return Math.round(sample * 10) / 10;
  };
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

export function isKept({ judgements }: RunResult): boolean {
  return judgements.every(({ broken }) => broken === 0);
}

export function jsonOf(result: RunResult): string {
  const { acknowledgedMs, answeredMs, resumedMs, ...others } = result;
  const spreads = {
    acknowledgedMs: spreadOf(acknowledgedMs),
    connectedMs: spreadOf(answeredMs),
    resumedMs: spreadOf(resumedMs),
  };
  return JSON.stringify({ isKept: isKept(result), ...others, ...spreads }, undefined, 2);
}

export function tableOf(result: RunResult): string {
  const { settings, messages, faults } = result;
  const lines = [
    `run ${result.run}, seed ${settings.seed}, ${settings.seconds} s, brokers ${result.brokers.join(", ")}`,
    `messages   ${messages.sent} sent, ${messages.acknowledged} acknowledged, ${messages.refused} refused${codesOf(messages.refusals)}, ${messages.unanswered} unanswered, ${result.heldBack} not sent because nobody could`,
    `deliveries ${messages.delivered}, copies ${messages.copies}, owed ${messages.owed}; drained in ${(result.drainedMs / 1000).toFixed(1)} s`,
    `retained   ${result.retainedWrites} writes acknowledged; clients with a will lived ${result.lives} times`,
    spreadLine("ack        ", "from the first PUBLISH to PUBACK or PUBREC", result.acknowledgedMs),
    spreadLine("connect    ", "from CONNECT to CONNACK", result.answeredMs),
    spreadLine("takeover   ", "from CONNECT on another broker to the first message", result.resumedMs),
    `faults     ${faults.length}${faults.map(({ kind, broker, at }) => ` · ${Math.round(at / 1000)} s ${kind} ${broker}`).join("")}`,
    "",
    `${"judged".padStart(9)} ${"broken".padStart(7)}  promise`,
  ];
  for (const { promise, judged, broken, examples } of result.judgements) {
    lines.push(`${String(judged).padStart(9)} ${String(broken).padStart(7)}  ${promise}`);
    for (const { client, topic, id, what } of examples) {
      lines.push(
        `${" ".repeat(21)}${[client, topic, id].filter((part) => part !== "").join(" · ")}: ${what}`,
      );
    }
  }
  lines.push("", isKept(result) ? "Every promise was kept." : "BROKEN: see above.");
  return lines.join("\n");
}

function codesOf(refusals: Readonly<Record<string, number>>): string {
  const codes = Object.entries(refusals).map(([code, count]) => `${count} x ${code}`);
  return codes.length === 0 ? "" : ` (${codes.join(", ")})`;
}

function spreadLine(name: string, what: string, samples: readonly number[]): string {
  if (samples.length === 0) return `${name}none ${what}`;
  const { count, p50, p99, max } = spreadOf(samples);
  return `${name}p50 ${p50} ms, p99 ${p99} ms, max ${max} ms ${what} (${count})`;
}
