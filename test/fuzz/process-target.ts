/**
 * A real node over real TCP and WebSocket: several connections at a time send what the seed says, while two ordinary clients talk to each other.
 *
 * What can only go wrong there is looked for: that the process ends or complains, that its memory grows, that somebody who
 * did nothing is put out or waits. Replays are not exact, because the network decides what meets what; the connection's
 * number gives its bytes again.
 */

import { readFileSync } from "node:fs";
import { connect as dial } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connectAsync, ErrorWithReasonCode, type MqttClient } from "mqtt";
import { freePorts } from "../support/free-ports.ts";
import { makeNode, type NodeProcess } from "../support/node-process.ts";
import type { TargetResult } from "./core-target.ts";
import { Draws } from "./draws.ts";
import { FuzzClient } from "./fuzz-client.ts";
import { cut, joined, mutated } from "./mutations.ts";
import { anyPacket, connect, encode } from "./valid-packets.ts";
import { wrongPacket } from "./wrong-packets.ts";

const CONNECTIONS_AT_ONCE = 8;
const ONE_IN_OVER_WEBSOCKET = 8;
/** A node that has not answered a known mistake by then never will. */
const ANSWER_MS_MAX = 30_000;
/** What is not answered by an end is left alone after this. */
const LINGER_MS = 20;
const BYSTANDER_MS_MAX = 30_000;
const BYSTANDER_EVERY_MS = 250;
/** PUBACK for a message that a session which fuzzed clients left behind has no room for; everybody else gets it. */
const QUOTA_EXCEEDED = 0x97;
/** A heap that may be large grows because nobody makes it collect; this much is enough, and a leak ends the node. */
const HEAP_MEGABYTES = 128;
/** The node is warm after this many connections. From there its memory may grow by the queues of sessions that were left behind. */
const WARM_CONNECTIONS = 2_000;
const GROWTH_MEGABYTES_MAX = 150;

interface Conversation {
  readonly chunks: readonly Uint8Array[];
  /** Reason Code that must come. */
  readonly answer: number | undefined;
  readonly what: string;
}

/** Runs until `signal`. */
export async function fuzzProcess(seed: number, signal: AbortSignal): Promise<TargetResult> {
  const [webSocketPort = 0] = await freePorts(1);
  const webSocketUrl = `ws://127.0.0.1:${webSocketPort}`;
  const node = await makeNode({
    name: "fuzzed",
    launcher: ["env", `NODE_OPTIONS=--max-old-space-size=${HEAP_MEGABYTES}`],
    args: ["--listen", webSocketUrl],
  });
  const begun = performance.now();
  let connections = 0;
  let failure: string | undefined;
  let figures = "";
  const fail = (what: string): void => {
    failure ??= what;
  };
  try {
    await node.start();
    const bystander = await Bystander.start(node, fail);
    let warmMegabytes: number | undefined;
    const work = async (): Promise<void> => {
      while (failure === undefined && !signal.aborted) {
        const number = connections++;
        const over = number % ONE_IN_OVER_WEBSOCKET === 0 ? webSocketUrl : undefined;
        const complaint = await converse(node, over, conversation(new Draws(seed, number)));
        if (complaint !== undefined) fail(`connection ${number} of seed ${seed}: ${complaint}`);
        if (number === WARM_CONNECTIONS) warmMegabytes = rssMegabytes(node);
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS_AT_ONCE }, work));
    await bystander.stop();
    if (bystander.refused > 0) {
      figures = `, ${bystander.refused} messages met a full queue`;
      const { notes } = await node.status();
      if (!notes.some((note) => note.includes("passed"))) fail("nobody is told which queue is full");
    }
    const megabytes = rssMegabytes(node);
    if (warmMegabytes !== undefined) {
      figures += `, resident ${warmMegabytes.toFixed(0)} MB when warm, ${megabytes.toFixed(0)} MB at the end`;
      if (megabytes > warmMegabytes + GROWTH_MEGABYTES_MAX) fail(`its memory grew${figures}`);
    }
    const errors = node.log.filter(({ level }) => level === "error" || level === "fatal");
    if (node.errorText !== "" || errors.length > 0)
      fail(`it complains: ${node.errorText}${JSON.stringify(errors[0] ?? "")}`);
    const { code, signal: killedBy } = await node.stop();
    if (code !== 0) fail(`it ended with ${code ?? killedBy}`);
  } catch (error) {
    fail(`${error instanceof Error ? error.stack : String(error)} ${node.errorText}`);
  } finally {
    await node.remove();
  }
  const seconds = (performance.now() - begun) / 1000;
  return { failure, summary: `process: ${connections} connections in ${seconds.toFixed(0)} s${figures}` };
}

function conversation(draws: Draws): Conversation {
  const kind = draws.mostly(["mutated", "wrong", "valid", "noise"]);
  const version = kind === "wrong" ? 5 : draws.of([5, 4, 3] as const);
  if (kind === "noise")
    return { chunks: cut(draws, draws.bytes(1 + draws.below(300))), answer: undefined, what: kind };
  const properties = { sessionExpiryInterval: 0 };
  const clientId = `fuzz${draws.below(16)}`;
  const hello =
    kind === "wrong"
      ? {
          cmd: "connect",
          protocolId: "MQTT",
          protocolVersion: 5,
          clean: true,
          keepalive: 0,
          clientId: "",
          properties,
        }
      : connect(draws, version, clientId);
  const first = encode(hello, version);
  if (kind === "wrong") {
    const { what, bytes, reasonCode } = wrongPacket(draws);
    return { chunks: [joined(first, bytes)], answer: reasonCode, what };
  }
  const rest = joined(
    ...Array.from({ length: 1 + draws.below(6) }, () => encode(anyPacket(draws, version), version)),
  );
  const all = kind === "valid" ? joined(first, rest) : joined(first, mutated(draws, rest));
  return {
    chunks: cut(draws, kind === "mutated" && draws.oneIn(4) ? mutated(draws, all) : all),
    answer: undefined,
    what: kind,
  };
}

/** Returns what the node did wrong. */
function converse(
  node: NodeProcess,
  webSocketUrl: string | undefined,
  { chunks, answer, what }: Conversation,
): Promise<string | undefined> {
  const judge = new FuzzClient(5, "");
  return new Promise((resolve) => {
    const hear = (bytes: Uint8Array): void => {
      if (answer !== undefined) judge.hear(bytes);
    };
    const closed = (how: string): void => {
      clearTimeout(patience);
      if (answer === undefined || judge.endedWith === answer) resolve(judge.complaint);
      else resolve(`${what}: answered with ${judge.endedWith ?? "nothing"} instead of ${answer}${how}`);
    };
    const hangUp =
      webSocketUrl === undefined
        ? overTcp(node, chunks, hear, closed)
        : overWebSocket(webSocketUrl, chunks, hear, closed);
    const patience = setTimeout(hangUp, answer === undefined ? LINGER_MS : ANSWER_MS_MAX);
  });
}

/** Says `chunks`. Returns what ends the connection. */
type Dial = (chunks: readonly Uint8Array[], ...ways: Ways) => () => void;
type Ways = [hear: (bytes: Uint8Array) => void, closed: (how: string) => void];

function overTcp(node: NodeProcess, ...[chunks, hear, closed]: Parameters<Dial>): () => void {
  const socket = dial({ host: node.host, port: node.ports.mqtt });
  socket.on("connect", () => {
    for (const chunk of chunks) socket.write(chunk);
  });
  socket.on("data", hear);
  let ended = "";
  // A reset is one of the ways to be put out.
  socket.on("error", (error) => {
    ended = `, ${error.message}`;
  });
  socket.once("close", () => closed(ended));
  return () => socket.destroy();
}

/** Each chunk is a message. */
function overWebSocket(url: string, ...[chunks, hear, closed]: Parameters<Dial>): () => void {
  const socket = new WebSocket(url, "mqtt");
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    for (const chunk of chunks) socket.send(chunk);
  });
  socket.addEventListener("message", ({ data }) => hear(new Uint8Array(data as ArrayBuffer)));
  socket.addEventListener("close", ({ code }) => closed(`, closed with ${code}`));
  return () => socket.close();
}

function rssMegabytes(node: NodeProcess): number {
  const pages = Number(readFileSync(`/proc/${node.pid}/statm`, "utf8").split(" ")[1]);
  return (pages * 4096) / 1_048_576;
}

/** Two clients that talk to each other; neither may be disconnected, and every message must come soon. */
class Bystander {
  /** Messages with QUOTA_EXCEEDED. */
  refused = 0;
  readonly #publisher: MqttClient;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #awaited: (() => void) | undefined;

  private constructor(publisher: MqttClient, subscriber: MqttClient, fail: (what: string) => void) {
    this.#publisher = publisher;
    subscriber.on("message", () => this.#awaited?.());
    for (const client of [publisher, subscriber]) {
      client.on("close", () => {
        if (!this.#stop.signal.aborted) fail("a bystander was disconnected");
      });
    }
    this.#done = this.#talk(fail).finally(async () => {
      await Promise.all([publisher.endAsync(true), subscriber.endAsync(true)]);
    });
  }

  static async start(node: NodeProcess, fail: (what: string) => void): Promise<Bystander> {
    const options = { reconnectPeriod: 0, protocolVersion: 5 } as const;
    const publisher = await connectAsync(node.url, { ...options, clientId: "bystander" });
    const subscriber = await connectAsync(node.url, { ...options, clientId: "bystander2" });
    await subscriber.subscribeAsync("bystander/#", { qos: 1 });
    return new Bystander(publisher, subscriber, fail);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #talk(fail: (what: string) => void): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const came = new Promise<boolean>((resolve) => {
        this.#awaited = () => resolve(true);
        const late = setTimeout(() => resolve(false), BYSTANDER_MS_MAX);
        late.unref();
      });
      await this.#publisher.publishAsync("bystander/ok", "ok", { qos: 1 }).catch((error: unknown) => {
        if (error instanceof ErrorWithReasonCode && error.code === QUOTA_EXCEEDED) this.refused++;
        else fail(`a bystander's message was not taken: ${String(error)}`);
      });
      if (!(await came)) fail(`a bystander waited for its message for ${BYSTANDER_MS_MAX} ms`);
      await sleep(BYSTANDER_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
