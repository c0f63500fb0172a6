/** What random clients do, for fast-check. Shared subscriptions are left out: who gets a message is a free choice. */

import fc from "fast-check";

const CLIENTS = 5;
/** Some of these and the time that a run's answers take, 3 s at most, never come near the intervals below. */
export const PASS_MS = 4_000;
export const WILL_DELAY_SECONDS = 7;
const LIFETIME_SECONDS = 11;
export const SESSION_SECONDS = 19;

const TOPICS = ["a", "a/b", "a/b/c", "b", "$x/a"];
const FILTERS = ["a", "a/b", "a/#", "+/b", "#", "+", "$x/#", "a/+/c", "a/#/b"];

export interface Message {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly isEmpty: boolean;
  /** Sent by 5.0 clients only. */
  readonly properties: object;
}

export interface Connect {
  readonly kind: "connect";
  readonly version: 3 | 4 | 5;
  readonly clean: boolean;
  readonly will: Message | undefined;
}

export type Step =
  | Connect
  | { readonly kind: "publish"; readonly messages: readonly Message[] }
  | {
      readonly kind: "subscribe";
      readonly filters: readonly string[];
      readonly qos: 0 | 1 | 2;
      readonly options: object;
    }
  | { readonly kind: "unsubscribe"; readonly filters: readonly string[] }
  | { readonly kind: "disconnect" | "sever" | "acknowledge" }
  | { readonly kind: "pass"; readonly times: number };

const qos = fc.constantFrom<0 | 1 | 2>(0, 1, 2);
const message: fc.Arbitrary<Message> = fc.record({
  topic: fc.constantFrom(...TOPICS),
  qos,
  retain: fc.boolean(),
  isEmpty: fc.nat(3).map((die) => die === 0),
  properties: fc.record(
    {
      messageExpiryInterval: fc.constant(LIFETIME_SECONDS),
      payloadFormatIndicator: fc.boolean(),
      contentType: fc.constantFrom("", "text/plain"),
      responseTopic: fc.constantFrom("answers", "a/b"),
      correlationData: fc.constantFrom(Buffer.alloc(0), Buffer.from([0, 255])),
      userProperties: fc.constantFrom({ b: ["1", "2"], a: "3" }, { "": "" }),
    },
    { requiredKeys: [] },
  ),
});
const filters = fc.array(fc.constantFrom(...FILTERS), { minLength: 1, maxLength: 3 });
const connect: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("connect"),
  version: fc.constantFrom<3 | 4 | 5>(3, 4, 5, 5),
  clean: fc.boolean(),
  will: fc.option(message, { nil: undefined }),
});
const subscribe: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("subscribe"),
  filters,
  qos,
  options: fc.record({ nl: fc.boolean(), rap: fc.boolean(), rh: fc.nat(2) }),
});
const publish: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("publish"),
  messages: fc.array(message, { minLength: 1, maxLength: 4 }),
});
const other: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom("disconnect", "sever", "acknowledge") }),
  fc.record({ kind: fc.constant("pass"), times: fc.constantFrom(1, 3) }),
  fc.record({ kind: fc.constant("unsubscribe"), filters }),
);
const any = fc.oneof(
  { weight: 2, arbitrary: connect },
  { weight: 4, arbitrary: subscribe },
  { weight: 6, arbitrary: publish },
  { weight: 4, arbitrary: other },
);

/** Who does what. All are there and subscribe to something before anything else happens. */
export const steps: fc.Arbitrary<readonly (readonly [client: number, step: Step])[]> = fc
  .tuple(
    fc.array(fc.tuple(connect, subscribe), { minLength: CLIENTS, maxLength: CLIENTS }),
    fc.array(fc.tuple(fc.nat(CLIENTS - 1), any), { minLength: 20, maxLength: 50 }),
  )
  .map(([beginning, rest]) => [
    ...beginning.flatMap((pair, client) => pair.map((step) => [client, step] as const)),
    ...rest,
  ]);
