/**
 * How long a subscriber waits for its retained messages: from SUBSCRIBE to the first of them, on three real nodes on
 * loopback.
 *
 *   npm run bench:retained-reads
 *
 * One client at a time on the coordinator's node and on another, and then a storm: all clients of all nodes subscribe
 * at the same instant, as after a power cut. Topics are read that nobody writes meanwhile, so only the reading is
 * measured.
 */

import { once } from "node:events";
import { connect as openSocket, type Socket } from "node:net";
import { parseArgs } from "node:util";
import { connectAsync } from "mqtt";
import { generate, type Packet, parser } from "mqtt-packet";
import { type NodeProcess, startMesh } from "../support/node-process.ts";

const { values } = parseArgs({
  options: {
    reads: { type: "string", default: "2000" },
    clients: { type: "string", default: "1000" },
    topics: { type: "string", default: "100" },
  },
});
const [reads, clients, topics] = [values.reads, values.clients, values.topics].map(Number) as [
  number,
  number,
  number,
];

/** A client that costs less than what it measures. */
class Reader {
  readonly #socket: Socket;
  readonly #clientId: string;
  #packet: (packet: Packet) => void = () => {};

  constructor(node: NodeProcess, clientId: string) {
    this.#clientId = clientId;
    this.#socket = openSocket({ host: "127.0.0.1", port: node.ports.mqtt, noDelay: true });
    const reader = parser({ protocolVersion: 4 });
    reader.on("packet", (packet) => this.#packet(packet));
    this.#socket.on("data", (bytes) => reader.parse(bytes));
  }

  async connect(): Promise<void> {
    await once(this.#socket, "connect");
    const clientId = this.#clientId;
    const answered = this.#until(({ cmd }) => cmd === "connack");
    this.#send({
      cmd: "connect",
      clientId,
      protocolId: "MQTT",
      protocolVersion: 4,
      clean: true,
      keepalive: 0,
    });
    await answered;
  }

  /** Times in ms from the SUBSCRIBE to SUBACK, the first retained message, and the last of `count`. */
  async read(filter: string, count: number): Promise<readonly [number, number, number]> {
    const startedAt = performance.now();
    let subackAt = 0;
    let firstAt = 0;
    let left = count;
    const complete = this.#until(({ cmd }) => {
      if (cmd === "suback") subackAt = performance.now();
      if (cmd !== "publish") return false;
      if (firstAt === 0) firstAt = performance.now();
      return --left === 0;
    });
    this.#send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: filter, qos: 0 }] });
    await complete;
    return [subackAt - startedAt, firstAt - startedAt, performance.now() - startedAt];
  }

  async forget(filter: string): Promise<void> {
    const answered = this.#until(({ cmd }) => cmd === "unsuback");
    this.#send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: [filter] });
    await answered;
  }

  close(): void {
    this.#socket.destroy();
  }

  #until(isLast: (packet: Packet) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#packet = (packet) => {
        if (isLast(packet)) resolve();
      };
    });
  }

  #send(packet: Packet): void {
    this.#socket.write(generate(packet));
  }
}

function report(what: string, figures: readonly (readonly [number, number, number])[]): void {
  const column = (at: 0 | 1 | 2): string => {
    const sorted = figures.map((figure) => figure[at]).sort((a, b) => a - b);
    const quantile = (q: number): string => (sorted[Math.floor(q * (sorted.length - 1))] ?? 0).toFixed(2);
    return `p50 ${quantile(0.5)} p99 ${quantile(0.99)} max ${quantile(1)}`;
  };
  process.stdout.write(`${what}: SUBACK ${column(0)}; first message ${column(1)}; last ${column(2)} ms\n`);
}

async function oneAtATime(node: NodeProcess, what: string): Promise<void> {
  const reader = new Reader(node, `reader-${node.name}`);
  await reader.connect();
  const figures: (readonly [number, number, number])[] = [];
  for (let i = 0; i < reads; i++) {
    // A filter of its own each time: interest that the other nodes do not know yet.
    const filter = `home/${i % topics}`;
    figures.push(await reader.read(filter, 1));
    await reader.forget(filter);
  }
  reader.close();
  report(`${reads} reads of one topic on ${what}`, figures.slice(Math.floor(reads / 4)));
}

async function storm(nodes: readonly NodeProcess[]): Promise<void> {
  const readers = Array.from({ length: clients }, (_, i) => {
    return new Reader(nodes[i % nodes.length] as NodeProcess, `client-${i}`);
  });
  await Promise.all(readers.map((reader) => reader.connect()));
  const figures = await Promise.all(readers.map((reader) => reader.read("home/+", topics)));
  for (const reader of readers) reader.close();
  report(`${clients} clients at once, ${topics} messages each`, figures);
}

const mesh = await startMesh(3);
try {
  const { nodes } = mesh;
  const writer = await connectAsync(nodes[0]?.url ?? "", { clientId: "writer" });
  for (let i = 0; i < topics; i++)
    await writer.publishAsync(`home/${i}`, "x".repeat(40), { qos: 1, retain: true });
  await writer.endAsync();
  const { coordinator, members } = (await nodes[0]?.status()) ?? {};
  const leader = members?.find(({ id }) => id === coordinator)?.name;
  const isLeader = ({ name }: NodeProcess): boolean => name === leader;
  await oneAtATime(nodes.find(isLeader) as NodeProcess, "the coordinator's node");
  await oneAtATime(nodes.find((node) => !isLeader(node)) as NodeProcess, "another node");
  for (let i = 0; i < 3; i++) await storm(nodes);
} finally {
  await mesh.remove();
}
