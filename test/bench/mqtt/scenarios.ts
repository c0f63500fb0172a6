/**
 * What is measured: every scenario of the bench, as data.
 *
 * Names and shapes are those of the reference measurements, so that figures can be set beside each other. The goal is the ratio of CPU
 * per delivered message (or connection) to Debian's mosquitto in the same run.
 */

/** How publishers decide when to send. */
type Pace =
  /** Write `burst` messages at once, again as soon as the subscribers have them. */
  | { readonly kind: "bursts"; readonly burst: number }
  /** One message under way for each publisher. */
  | { readonly kind: "lone" }
  /** `perSecond` messages in all, spread evenly over time and publishers, whatever comes back. */
  | { readonly kind: "rate"; readonly perSecond: number };

/** Messages flow for a while. */
export interface FlowScenario {
  readonly kind: "flow";
  readonly name: string;
  readonly title: string;
  /** Who gets what whom: one to one, everybody everything, or 10,000 wildcard filters of which four match. */
  readonly shape: "pairs" | "all" | "wildcards";
  readonly publishers: number;
  readonly subscribers: number;
  readonly qos: 0 | 1 | 2;
  /** Bytes of payload, at least 16. */
  readonly payload: number;
  readonly pace: Pace;
  /** Ratio of CPU per delivery to mosquitto that is asked for. */
  readonly goal: number;
  /** Ratio of the median latency, where one is asked for. */
  readonly latencyGoal?: number;
  /** Publishers on one node, subscribers on the other. */
  readonly isAcross?: boolean;
  /** Part of `--quick`. */
  readonly isQuick?: boolean;
}

/** `topics` retained messages are replayed to one new subscriber after the other. */
export interface ReplayScenario {
  readonly kind: "replay";
  readonly name: string;
  readonly title: string;
  readonly topics: number;
  readonly payload: number;
  readonly goal: number;
  readonly isQuick?: boolean;
}

/** `connections` are made, `atOnce` at a time; with `isChurn` each is closed after its CONNACK. */
interface ConnectScenario {
  readonly kind: "connect";
  readonly name: string;
  readonly title: string;
  readonly connections: number;
  readonly atOnce: number;
  readonly isChurn: boolean;
  readonly goal: number;
  readonly isQuick?: boolean;
}

/** `connections` with one subscription each, and nothing to do. The goal is in bytes for each. */
interface IdleScenario {
  readonly kind: "idle";
  readonly name: string;
  readonly title: string;
  readonly connections: number;
  readonly goalBytes: number;
}

export type Scenario = FlowScenario | ReplayScenario | ConnectScenario | IdleScenario;

const BURST: Pace = { kind: "bursts", burst: 32 };
const LONE: Pace = { kind: "lone" };

type Flow = Partial<FlowScenario> & Pick<FlowScenario, "name" | "title" | "goal">;

function pairs(count: number, flow: Flow): FlowScenario {
  return {
    kind: "flow",
    shape: "pairs",
    publishers: count,
    subscribers: count,
    qos: 0,
    payload: 64,
    pace: BURST,
    ...flow,
  };
}

function all(publishers: number, subscribers: number, flow: Flow): FlowScenario {
  return { kind: "flow", shape: "all", publishers, subscribers, qos: 0, payload: 64, pace: BURST, ...flow };
}

const RATE: Pace = { kind: "rate", perSecond: 10_000 };

export const SCENARIOS: readonly Scenario[] = [
  all(1, 100, { name: "fanout100", title: "fan-out 1 to 100, bursts", goal: 0.07, isQuick: true }),
  all(1, 100, { name: "fanout100-q1", title: "fan-out 1 to 100, QoS 1, bursts", qos: 1, goal: 0.08 }),
  all(1, 1000, { name: "fanout1000", title: "fan-out 1 to 1000, bursts", goal: 0.2 }),
  all(100, 1, { name: "fanin100", title: "fan-in 100 to 1, bursts", goal: 0.1 }),
  pairs(100, { name: "p2p100", title: "100 pairs, bursts", goal: 0.1, isQuick: true }),
  pairs(100, { name: "p2p100-q1", title: "100 pairs, QoS 1, bursts", qos: 1, goal: 0.08, isQuick: true }),
  pairs(50, { name: "p2p50-q2", title: "50 pairs, QoS 2, bursts", qos: 2, goal: 0.08 }),
  pairs(100, { name: "p2p100-1k", title: "100 pairs, 1 KB, bursts", payload: 1024, goal: 0.15 }),
  pairs(100, { name: "p2p100-16k", title: "100 pairs, 16 KB, bursts", payload: 16_384, goal: 0.65 }),
  {
    ...all(25, 100, { name: "wild10k", title: "10,000 wildcard filters, four match, bursts", goal: 0.18 }),
    shape: "wildcards",
  },
  pairs(100, {
    name: "p2p100-w1",
    title: "100 pairs, one under way",
    pace: LONE,
    goal: 1.3,
    latencyGoal: 1.15,
    isQuick: true,
  }),
  pairs(100, {
    name: "p2p100-w1-q1",
    title: "100 pairs, QoS 1, one under way",
    qos: 1,
    pace: LONE,
    goal: 1.3,
    latencyGoal: 1.3,
  }),
  pairs(100, {
    name: "p2p100-r10k",
    title: "100 pairs, 10,000 msg/s",
    pace: RATE,
    goal: 1.3,
    latencyGoal: 1.15,
    isQuick: true,
  }),
  pairs(100, {
    name: "p2p100-r10k-q1",
    title: "100 pairs, QoS 1, 10,000 msg/s",
    qos: 1,
    pace: RATE,
    goal: 1.3,
    latencyGoal: 1.3,
  }),
  all(100, 1, { name: "fanin100-w1", title: "fan-in 100 to 1, one under way each", pace: LONE, goal: 0.5 }),
  {
    kind: "replay",
    name: "retained10k",
    title: "10,000 retained to a new subscriber",
    topics: 10_000,
    payload: 64,
    goal: 0.5,
    isQuick: true,
  },
  {
    kind: "replay",
    name: "retained100k",
    title: "100,000 retained to a new subscriber",
    topics: 100_000,
    payload: 64,
    goal: 0.2,
  },
  {
    kind: "connect",
    name: "connect5k",
    title: "5,000 connects",
    connections: 5000,
    atOnce: 64,
    isChurn: false,
    goal: 2.2,
    isQuick: true,
  },
  {
    kind: "connect",
    name: "connect5k-churn",
    title: "5,000 connects, each closed again",
    connections: 5000,
    atOnce: 64,
    isChurn: true,
    goal: 2.2,
  },
  {
    kind: "idle",
    name: "idle10k-sub",
    title: "10,000 idle connections, a subscription each",
    connections: 10_000,
    goalBytes: 7168,
  },
  pairs(100, { name: "mesh-p2p100", title: "two nodes, 100 pairs, bursts", goal: 0.1, isAcross: true }),
  pairs(100, {
    name: "mesh-p2p100-q1",
    title: "two nodes, 100 pairs, QoS 1, bursts",
    qos: 1,
    goal: 0.1,
    isAcross: true,
  }),
  all(1, 100, {
    name: "mesh-fanout100",
    title: "two nodes, fan-out 1 to 100, bursts",
    goal: 0.1,
    isAcross: true,
  }),
  all(100, 1, {
    name: "mesh-fanin100",
    title: "two nodes, fan-in 100 to 1, bursts",
    goal: 0.1,
    isAcross: true,
  }),
  pairs(100, {
    name: "mesh-p2p100-w1",
    title: "two nodes, 100 pairs, one under way",
    pace: LONE,
    goal: 1.6,
    isAcross: true,
  }),
  pairs(100, {
    name: "mesh-p2p100-r10k",
    title: "two nodes, 100 pairs, 10,000 msg/s",
    pace: RATE,
    goal: 1.6,
    isAcross: true,
  }),
];
