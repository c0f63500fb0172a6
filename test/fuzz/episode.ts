/**
 * One episode: a broker with small limits, two clients that do nothing wrong, and a handful that do anything.
 *
 * The broker must not throw, must come to rest after every step within a bound of time, must keep what waits for one client
 * within its bound, must answer known mistakes with the right Reason Code, and must serve the two bystanders throughout. When all
 * the others have gone and their sessions have expired, nothing of them may be left.
 */

import { scramAuthenticator } from "@skein/broker";
import { HeldWorld } from "../conformance/support/held-world.ts";
import { Draws } from "./draws.ts";
import { FuzzClient } from "./fuzz-client.ts";
import { SCRAM_PORTS } from "./scram-fixture.ts";
import { drawSteps, type Step } from "./steps.ts";

/** Small enough for every limit to be met. */
const OPTIONS = {
  packetBytesMax: 20_000,
  connectBytesMax: 2_000,
  outboundBytesMax: 4_000,
  queuedMessagesMax: 50,
  queuedBytesMax: 20_000,
  queuedTotalBytesMax: 60_000,
  inflightMax: 4,
  unsettledPublishesMax: 8,
  receiveMaximum: 10,
  topicAliasMaximum: 3,
  sessionExpiryMaxSeconds: 600,
  offlineSessionsMax: 4,
  filtersPerSubscribeMax: 20,
  subscriptionsPerClientMax: 12,
  pendingSubscribesMax: 3,
  connectionsMax: 20,
  connectingMax: 4,
  authenticatingMax: 2,
};
/** Besides its bound: one packet that was begun below it, and the answers to what one step brought. */
const OUTBOUND_SLACK_BYTES = OPTIONS.packetBytesMax + 60_000;
/** Of the processor; a step takes a millisecond. Time on the wall says more about the machine's other work. */
const STEP_CPU_MS_MAX = 3_000;
const BYSTANDERS = 2;

/** What was found, with the step it came after (undefined: at the end). */
export interface Failure {
  readonly complaint: string;
  readonly step: number | undefined;
}

export function stepsOf(seed: number, episode: number): Step[] {
  return drawSteps(new Draws(seed, episode));
}

/** Carries out `steps` on a new broker. Returns undefined if all was well. */
export function play(steps: readonly Step[]): Failure | undefined {
  const episode = new Episode();
  for (const [at, step] of steps.entries()) {
    const complaint = guarded(() => episode.carryOut(step));
    if (complaint !== undefined) return { complaint, step: at };
  }
  const complaint = guarded(() => episode.end());
  return complaint === undefined ? undefined : { complaint, step: undefined };
}

/** The complaint of `act`, or what it throws. */
function guarded(act: () => string | undefined): string | undefined {
  const begun = cpuMs();
  try {
    const complaint = act();
    const took = cpuMs() - begun;
    return took > STEP_CPU_MS_MAX ? `the step took ${Math.round(took)} ms of the processor` : complaint;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

class Episode {
  readonly #world = new HeldWorld(OPTIONS, { authenticator: scramAuthenticator(SCRAM_PORTS) });
  /** By their number; one that was opened again is only in `#all`. */
  readonly #clients: FuzzClient[] = [];
  readonly #all: FuzzClient[] = [];
  readonly #publisher = this.#world.connect("bystander", { version: 4 });
  readonly #subscriber = this.#world.connect("bystander2", { version: 5 });
  readonly #wantedBefore: number;
  #connections = 0;

  constructor() {
    this.#subscriber.subscribe("bystander/#", 1);
    this.#wantedBefore = this.#world.mesh.wanted.size;
  }

  carryOut(step: Step): string | undefined {
    const complaint = this.#act(step);
    this.#settle();
    return complaint ?? this.#complaintOfAny();
  }

  /** Everybody goes, time passes: nothing must be left. */
  end(): string | undefined {
    const { broker, mesh } = this.#world;
    this.#release();
    for (const { stream } of this.#all) stream.unstick();
    this.#settle();
    const served = this.#serveBystander();
    if (served !== undefined) return served;
    for (const { stream } of this.#all) stream.sever();
    // Two looks at the clock: after a standstill the first one judges nobody.
    const expiryMs = (OPTIONS.sessionExpiryMaxSeconds + 10) * 1000;
    this.#world.standStill(expiryMs);
    this.#world.pass(500);
    this.#settle();
    if (broker.clientCount !== BYSTANDERS) return `${broker.clientCount} clients are left`;
    if (broker.sessionCount !== BYSTANDERS) return `${broker.sessionCount} sessions are left`;
    if (mesh.wanted.size !== this.#wantedBefore)
      return `interest in ${[...mesh.wanted.keys()].join(", ")} is left`;
    return this.#complaintOfAny() ?? this.#serveBystander();
  }

  #act(step: Step): string | undefined {
    switch (step.kind) {
      case "pass":
        this.#world.pass(step.ms);
        return undefined;
      case "hold":
        this.#world.mesh.isHolding = true;
        return undefined;
      case "answer":
        this.#world.mesh.isHolding = false;
        this.#world.answer(step.reasonCode);
        return undefined;
      case "holdReads":
        this.#world.store.isHolding = true;
        return undefined;
      case "letRead":
        this.#world.store.isHolding = false;
        this.#world.letRead();
        return undefined;
      case "bystander":
        return this.#world.mesh.isHolding ? undefined : this.#serveBystander();
      case "open":
        this.#open(step.client, step.version);
        return undefined;
      default: {
        const client = this.#clients[step.client];
        return client === undefined ? undefined : this.#actOf(client, step);
      }
    }
  }

  #actOf(client: FuzzClient, step: Extract<Step, { client: number }>): string | undefined {
    switch (step.kind) {
      case "bytes":
        client.isOrderly &&= step.isOrderly;
        for (const chunk of step.chunks) this.#feed(client, chunk);
        return undefined;
      case "limit":
        client.packetBytesMax = step.packetBytesMax;
        return undefined;
      case "wrong":
        return this.#sendWrong(client, step);
      case "stick":
        client.stream.stick();
        return undefined;
      case "unstick":
        client.stream.unstick();
        return undefined;
      case "sever":
        client.stream.sever();
        return undefined;
      case "open":
        return undefined;
    }
  }

  #open(number: number, version: FuzzClient["version"]): void {
    const client = new FuzzClient(version, `192.0.2.${10 + number}:${++this.#connections}`);
    this.#clients[number] = client;
    this.#all.push(client);
    this.#world.broker.accept(client.stream, { name: "fuzz", allowAnonymous: true });
  }

  #sendWrong(client: FuzzClient, step: Extract<Step, { kind: "wrong" }>): string | undefined {
    const { stream } = client;
    const isOpen = client.isConnected && !stream.isClosed && !stream.isEnding;
    const isJudged =
      isOpen &&
      client.isOrderly &&
      client.version === 5 &&
      !stream.isStuck &&
      stream.isRead &&
      client.endedWith === undefined;
    client.isOrderly = false;
    this.#feed(client, step.bytes);
    if (!isJudged) return undefined;
    if (!stream.isClosed) return `${step.what}: the connection goes on`;
    // A client that takes tiny packets only cannot be told.
    if (client.packetBytesMax < 4) return undefined;
    if (client.endedWith === step.reasonCode) return undefined;
    return `${step.what}: answered with ${client.endedWith ?? "nothing"} instead of ${step.reasonCode}`;
  }

  #feed(client: FuzzClient, bytes: Uint8Array): void {
    client.stream.feed(bytes);
    this.#settle();
  }

  /** Turn after turn, until nobody has anything to say. */
  #settle(): void {
    let isMoving = true;
    while (isMoving) {
      this.#world.settle();
      isMoving = this.#all.map(({ stream }) => stream.read()).includes(true);
    }
  }

  #serveBystander(): string | undefined {
    this.#publisher.publish("bystander/ok", "ok", { qos: 1, messageId: 7 });
    const isAcknowledged = this.#publisher.takeAll("puback").length === 1;
    const [got] = this.#subscriber.takeAll("publish");
    if (!isAcknowledged || String(got?.payload) !== "ok") return "a bystander was not served";
    this.#subscriber.send({ cmd: "puback", messageId: got?.messageId, reasonCode: 0 });
    return undefined;
  }

  #complaintOfAny(): string | undefined {
    for (const { complaint, stream } of this.#all) {
      if (complaint !== undefined) return complaint;
      if (stream.bufferedBytes > OPTIONS.outboundBytesMax + OUTBOUND_SLACK_BYTES)
        return `${stream.bufferedBytes} bytes wait for a client that does not read`;
    }
    return undefined;
  }

  /** Mesh and store answer everything. */
  #release(): void {
    this.#world.mesh.isHolding = false;
    this.#world.store.isHolding = false;
    this.#world.answer(0);
    this.#world.letRead();
  }
}
