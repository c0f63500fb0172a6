/**
 * Nodes of a mesh and newcomers, on two networks: a simulated one in virtual time, and real TLS sockets on loopback whose
 * clock can be set forward. The statements about joining (joining.test.ts) hold on both.
 */

import type { Clock, GuestProof, Incarnation, Log, MonotonicMs, NodeId, Stream } from "@skein/kernel";
import { type DialAsGuest, type GuestFailure, seededPrng } from "@skein/kernel";
import { type JoinResult, JoinSearch, Mesh } from "@skein/mesh";
import { dialAsGuest, systemClock, tlsPskTransport } from "@skein/platform";
import { SimNetwork } from "../../../packages/mesh/test/support/sim-network.ts";
import { VirtualClock } from "../../../packages/mesh/test/support/virtual-clock.ts";
import { MemoryDisk, nodeId } from "../../../packages/mesh/test/support/world.ts";

const SALT = "0123456789abcdef";
export const DOCUMENT = Uint8Array.from("the key and more", (letter) => letter.charCodeAt(0));

/** Stands for a stretched code: the secret filled with `fill`, and a tag. */
export function stretched(fill: number, tag = fill): Uint8Array {
  const bytes = new Uint8Array(33).fill(fill);
  bytes[32] = tag;
  return bytes;
}

export interface JoinNode {
  readonly id: NodeId;
  readonly mesh: Mesh;
  readonly address: string;
  readonly logged: readonly string[];
}

/** What a network must offer; the rest is the same on both. */
interface Wire {
  readonly clock: Clock;
  transport(host: string): ReturnType<typeof tlsPskTransport>;
  dialAsGuest(host: string): DialAsGuest;
  linkListen(host: string): string;
  host(index: number): string;
  /** Sets the clock forward. */
  pass(ms: number): Promise<void>;
  /** Lets things happen until `isSo`. */
  until(what: string, isSo: () => boolean): Promise<void>;
}

export class JoinWorld {
  readonly wire: Wire;
  readonly nodes: JoinNode[] = [];

  constructor(wire: Wire) {
    this.wire = wire;
  }

  /** Starts a node that links to all there are. */
  async start(document: () => Uint8Array | undefined = () => DOCUMENT): Promise<JoinNode> {
    const index = this.nodes.length + 1;
    const host = this.wire.host(index);
    const logged: string[] = [];
    const line = (fields: object, message: string) =>
      void logged.push(`${message} ${JSON.stringify(fields)}`);
    const log: Log = { error: line, warn: line, info: line, debug: () => {} };
    let isReady = false;
    const mesh = new Mesh(
      {
        node: nodeId(index),
        incarnation: 1 as Incarnation,
        mesh: "casa",
        name: `pi${index}`,
        linkListen: this.wire.linkListen(host),
        peers: this.nodes.map(({ address }) => address),
        excludedAddresses: [],
      },
      {
        clock: this.wire.clock,
        prng: seededPrng(index),
        transport: this.wire.transport(host),
        mdns: undefined,
        disk: new MemoryDisk(),
        log,
        delivery: { deliver: () => {}, deliverPackets: () => 0, deliverShared: () => false },
        joining: { salt: SALT, document },
        receiveControl: () => {},
        receiveAddress: () => {},
        membersChanged: () => {},
        ready: (error) => {
          if (error !== undefined) throw error;
          isReady = true;
        },
      },
    );
    mesh.start();
    await this.wire.until("listens", () => isReady);
    const node = { id: nodeId(index), mesh, address: `${host}:${mesh.linkPort}`, logged };
    this.nodes.push(node);
    await this.wire.until("all are linked", () => this.nodes.every((one) => this.links(one) === index - 1));
    return node;
  }

  links({ mesh }: JoinNode): number {
    return mesh.members.filter(({ isLinked }) => isLinked).length;
  }

  /** A newcomer types what stretches to `bytes` and asks at these addresses. */
  async join(
    bytes: Uint8Array,
    at: readonly JoinNode[],
    name = "newcomer",
    host = this.wire.host(99),
  ): Promise<JoinResult> {
    let result: JoinResult | undefined;
    this.begin(bytes, at, name, host, (outcome) => {
      result = outcome;
    });
    await this.wire.until("an answer", () => result !== undefined);
    return result as JoinResult;
  }

  begin(
    bytes: Uint8Array,
    at: readonly JoinNode[],
    name: string,
    host: string,
    done: (result: JoinResult | undefined) => void,
  ): void {
    const ports = {
      clock: this.wire.clock,
      dial: this.wire.dialAsGuest(host),
      mdns: undefined,
      stretch: (salt: string) => (salt === SALT ? bytes : new Uint8Array(33)),
      trying: () => {},
    };
    new JoinSearch({ name, peers: at.map(({ address }) => address) }, ports, done).start();
  }

  /** A guest's stream, to say what a newcomer would not. */
  async guestStream(proof: GuestProof, at: JoinNode): Promise<Stream> {
    let result: Stream | GuestFailure | undefined;
    this.wire.dialAsGuest(this.wire.host(99))(
      at.address,
      5000,
      () => proof,
      (stream) => {
        result = stream;
      },
    );
    await this.wire.until("a stream", () => result !== undefined);
    if (result === undefined || "kind" in result) throw new Error(JSON.stringify(result));
    return result;
  }

  async close(): Promise<void> {
    let open = this.nodes.length;
    for (const { mesh } of this.nodes)
      mesh.stop(() => {
        open--;
      });
    await this.wire.until("all have stopped", () => open === 0);
  }
}

export function simulatedWire(): Wire {
  const clock = new VirtualClock();
  const network = new SimNetwork(clock, seededPrng(1));
  return {
    clock,
    transport: (host) => network.transport(host, "key"),
    dialAsGuest: (host) => (address, timeoutMs, prove, done) =>
      network.dialAsGuest(host, address, timeoutMs, prove, done),
    linkListen: () => "0.0.0.0:7883",
    host: (index) => `10.0.0.${index}`,
    pass: async (ms) => clock.run(ms),
    until: async (what, isSo) => {
      clock.runUntil(isSo, 30_000, what);
    },
  };
}

export function realWire(): Wire {
  const real = systemClock();
  let aheadMs = 0;
  const key = new Uint8Array(32).fill(7);
  return {
    clock: { ...real, monotonicMs: () => (real.monotonicMs() + aheadMs) as MonotonicMs, after: real.after },
    transport: (host) => tlsPskTransport({ key, identity: host }),
    dialAsGuest: () => dialAsGuest,
    linkListen: (host) => `${host}:0`,
    host: () => "127.0.0.1",
    pass: async (ms) => {
      aheadMs += ms;
    },
    until: (what, isSo) => eventually(what, isSo),
  };
}

/** Looks at every turn of the event loop. */
async function eventually(what: string, isSo: () => boolean): Promise<void> {
  const endsAt = performance.now() + 20_000;
  while (!isSo()) {
    if (performance.now() > endsAt) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
