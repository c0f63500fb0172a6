/** The packed store of messages and the packed queues, against plain lists. */

import type { ApplicationMessage } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  type FrozenMessages,
  type MessageHandle,
  NO_ROOM,
  OwedMessages,
} from "../../src/state-machine/sessions/owed-messages.ts";
import type { QueueEntry, QueueForm } from "../../src/state-machine/sessions/queue-columns.ts";
import { SessionQueue } from "../../src/state-machine/sessions/session-queue.ts";
import { A, message, SessionWorld, wish } from "./session-world.ts";

const SLAB_BYTES = 128 * 1024;
const KIB = 1024;

/** Of so many bytes, which say whose they are. */
function sized(name: number, bytes: number): ApplicationMessage {
  const properties = { messageExpirySeconds: name, userProperties: [["name", `${name}`]] as const };
  return { ...message("home/room/temperature", `${name} `.padEnd(bytes, `${name}`)), properties };
}

interface Held {
  readonly handle: MessageHandle;
  readonly message: ApplicationMessage;
  readonly at: number;
  holders: number;
}

type Step =
  | { readonly kind: "put"; readonly bytes: number }
  | { readonly kind: "hold" | "release"; readonly which: number }
  | { readonly kind: "freeze" };

const steps: fc.Arbitrary<Step> = fc.oneof(
  // Many to a slab, a few to a slab, and slabs of their own.
  {
    weight: 40,
    arbitrary: fc.record({ kind: fc.constant("put" as const), bytes: fc.integer({ max: 200, min: 0 }) }),
  },
  {
    weight: 40,
    arbitrary: fc.record({ kind: fc.constant("put" as const), bytes: fc.integer({ max: 20 * KIB, min: 0 }) }),
  },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant("hold" as const), which: fc.nat() }) },
  { weight: 60, arbitrary: fc.record({ kind: fc.constant("release" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant({ kind: "freeze" as const }) },
);

test("what is held is there unchanged whatever else comes and goes, and so is what was fixed of what has gone", () => {
  fc.assert(
    fc.property(fc.array(steps, { minLength: 50, maxLength: 400, size: "max" }), (history) => {
      const store = new OwedMessages();
      const held: Held[] = [];
      const frozen: { readonly of: FrozenMessages; readonly bytes: readonly Uint8Array[] }[] = [];
      for (const [at, step] of history.entries()) {
        if (step.kind === "put") {
          const put = sized(at, step.bytes);
          held.push({ handle: store.put(put, at), message: put, at, holders: 1 });
        } else if (step.kind === "freeze") {
          const handles = Uint32Array.from(held, ({ handle }) => handle);
          frozen.push({
            of: store.freeze(handles),
            bytes: held.map(({ handle }) => store.packed(handle).slice()),
          });
        } else if (held.length > 0) {
          const index = step.which % held.length;
          const one = held[index] as Held;
          if (step.kind === "hold") store.hold(one.handle);
          else store.release(one.handle);
          one.holders += step.kind === "hold" ? 1 : -1;
          if (one.holders === 0) held.splice(index, 1);
        }
      }
      for (const one of held) {
        expect(store.message(one.handle)).toEqual(one.message);
        expect(store.publishedAt(one.handle)).toBe(one.at);
      }
      expect(new Set(held.map(({ handle }) => handle)).size).toBe(held.length);
      for (const { of, bytes } of frozen)
        expect(
          bytes.map((_, place) => Buffer.compare(of.packed(place), bytes[place] ?? Buffer.of())),
        ).toEqual(bytes.map(() => 0));
      const sizes = held.map(({ handle }) => store.sizeOf(handle));
      expect([store.count, store.bytes]).toEqual([held.length, sizes.reduce((sum, size) => sum + size, 0)]);
      expect(store.entries).toBe(held.reduce((sum, { holders }) => sum + holders, 0));

      // Of each closed slab more than half is held; a quarter of it may have been too short for what came next.
      const tables = 8 * 1.25 * Math.max(64, history.length);
      expect(store.bufferBytes).toBeLessThan(
        2.5 * (store.bytes + 12 * store.count) + 2 * SLAB_BYTES + tables,
      );
      for (const { handle, holders } of held)
        for (let left = holders; left > 0; left--) store.release(handle);
      expect([store.count, store.bytes, store.entries]).toEqual([0, 0, 0]);
      expect(store.bufferBytes).toBeLessThanOrEqual(SLAB_BYTES + KIB);
    }),
    { numRuns: 100 },
  );
});

test("beyond its bound a store takes no message, and one that nobody holds is an error to ask for", () => {
  const store = new OwedMessages();
  const first = store.put(sized(1, 100), 0, 1000);
  expect(first).not.toBe(NO_ROOM);
  expect(store.put(sized(2, 1000), 0, 1000)).toBe(NO_ROOM);
  expect(store.count).toBe(1);
  store.release(first);
  expect(() => store.message(first)).toThrow("is not held");
  expect(() => store.release(first)).toThrow("is not held");
});

const forms: fc.Arbitrary<QueueForm> = fc.record({
  qos: fc.constantFrom(1, 2),
  retain: fc.boolean(),
  identifiers: fc.constantFrom(undefined, undefined, [1], [2, 300]),
  group: fc.constantFrom(undefined, undefined, "$share/g/t"),
  isReleased: fc.constant(false),
});

type QueueStep =
  | { readonly kind: "push"; readonly form: QueueForm; readonly index: number }
  | { readonly kind: "remove" | "release"; readonly which: number }
  | { readonly kind: "skip"; readonly by: number }
  | { readonly kind: "clear" };

const queueSteps: fc.Arbitrary<QueueStep> = fc.oneof(
  {
    weight: 200,
    arbitrary: fc.record({
      kind: fc.constant("push" as const),
      form: forms,
      index: fc.nat({ max: 2 ** 47 }),
    }),
  },
  // Mostly the oldest ones.
  {
    weight: 160,
    arbitrary: fc.record({ kind: fc.constant("remove" as const), which: fc.oneof(fc.constant(0), fc.nat()) }),
  },
  { weight: 40, arbitrary: fc.record({ kind: fc.constant("release" as const), which: fc.nat() }) },
  { weight: 20, arbitrary: fc.record({ kind: fc.constant("skip" as const), by: fc.nat({ max: 5 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "clear" as const }) },
);

test("a queue in columns is the list of its entries, in any order of what is pushed, removed, released and skipped", () => {
  fc.assert(
    fc.property(fc.array(queueSteps, { maxLength: 600, size: "max" }), fc.nat(), (history, freezeAt) => {
      const store = new OwedMessages();
      const queue = new SessionQueue(store, 7);
      let entries: (QueueForm & { ordinal: number; index: number; text: string })[] = [];
      let next = 7;
      const expected = (): unknown => entries.map((entry) => ({ ...entry }));
      let frozen:
        | { readonly before: unknown; readonly columns: ReturnType<SessionQueue["freeze"]> }
        | undefined;
      for (const [at, step] of history.entries()) {
        if (at === freezeAt % history.length)
          frozen = { before: ordinalsAndForms(entries), columns: queue.freeze() };
        if (step.kind === "push") {
          const text = `${at}`;
          const handle = store.put(message("t", text), 0);
          queue.push(handle, step.form, step.index);
          store.release(handle);
          entries.push({ ...step.form, ordinal: next++, index: step.index, text });
        } else if (step.kind === "skip") {
          next += step.by;
          queue.skipTo(next);
        } else if (step.kind === "clear") {
          queue.clear();
          entries = [];
        } else {
          const entry = entries[step.which % Math.max(1, entries.length)];
          const ordinal = entry?.ordinal ?? next;
          if (step.kind === "remove") {
            expect(queue.remove(ordinal)).toBe(entry !== undefined);
            entries = entries.filter((other) => other !== entry);
          } else {
            expect(queue.release(ordinal)).toBe(entry?.qos === 2);
            if (entry?.qos === 2) entries[entries.indexOf(entry)] = { ...entry, isReleased: true };
          }
        }
      }
      expect([...queue].map(plain)).toEqual(expected());
      expect([queue.length, queue.nextOrdinal, store.count]).toEqual([entries.length, next, entries.length]);
      for (const { ordinal } of entries) expect(queue.after(ordinal - 1)?.ordinal).toBe(ordinal);
      expect(queue.get(next)).toBeUndefined();
      if (frozen !== undefined) expect(ordinalsAndForms([...frozen.columns])).toEqual(frozen.before);
      queue.clear();
      expect(store.bytes).toBe(0);
    }),
    { numRuns: 300 },
  );
});

function plain({ handle: _, message: { payload }, ...entry }: QueueEntry): unknown {
  return { ...entry, text: new TextDecoder().decode(payload) };
}

function ordinalsAndForms(entries: readonly (QueueForm & { ordinal: number; index: number })[]): unknown {
  return entries.map(({ ordinal, index, qos, retain, isReleased, identifiers, group }) => {
    return { ordinal, index, qos, retain, isReleased, identifiers, group };
  });
}

test("a queued message takes no more than its payload and 64 bytes", () => {
  const [clients, each, payloadBytes] = [20, 1000, 200];
  const topicOf = (client: number): string => `home/room${client + 900}/sensor/temperature`;
  const world = new SessionWorld();
  for (let client = 0; client < clients; client++) {
    const claim = world.open(A, `client ${client}`);
    world.subscribe(A, `client ${client}`, claim, wish(topicOf(client)));
  }
  for (let at = 0; at < each; at++)
    for (let client = 0; client < clients; client++)
      world.publish(A, topicOf(client), `${at}`.padEnd(payloadBytes));
  const { owed } = world.machine.sessions;
  let bytes = owed.bufferBytes;
  for (const { queue } of world.machine.sessions.all()) bytes += queue.bufferBytes;
  expect(owed.count).toBe(clients * each);
  expect(bytes / owed.count).toBeLessThanOrEqual(payloadBytes + 64);
});
