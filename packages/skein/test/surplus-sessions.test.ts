import { expect, test } from "vitest";
import { SurplusSessionsWatch } from "../src/status/surplus-sessions.ts";

test("sessions that ended because there were too many are told with what they were owed, until ten minutes after the last one", () => {
  const watch = new SurplusSessionsWatch();
  const at = (now: number, sessions: number, messages: number, last?: string): readonly string[] => {
    watch.observe({ sessions, messages, last }, now);
    return watch.notes(now).map(({ text }) => text);
  };
  const note = (sessions: string, span: string, messages: string, last: string): string =>
    `Too many sessions are without a connection: ${sessions} been ended within ${span}, the one longest without first, and ${messages} that waited for them went with them. The last one was of client "${last}". A shorter --max-session-expiry ends those earlier that never come back.`;
  expect(at(0, 0, 0)).toEqual([]);
  expect(at(1000, 1, 0, "a")).toEqual([note("1 session has", "0 s", "0 messages", "a")]);
  expect(at(61_000, 3, 12, "b")).toEqual([note("3 sessions have", "60 s", "12 messages", "b")]);
  expect(at(660_999, 3, 12, "b")).toHaveLength(1);
  expect(at(661_000, 3, 12, "b")).toEqual([]);
  // It begins anew.
  expect(at(700_000, 4, 13, "c")).toEqual([note("1 session has", "0 s", "1 message", "c")]);
  expect(watch.notes(700_000)[0]?.isAlarm).toBe(true);
});
