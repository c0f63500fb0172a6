import type { MonotonicMs, NodeId } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test, vi } from "vitest";
import { CONNECTIONS_MAX, Connections, type OpenConnection } from "../../src/address/connections.ts";
import type { EntrancePeer } from "../../src/address/entrance.ts";
import { type AddressFrame, decodeAddressFrame, encodeAddressFrame } from "../../src/address/frames.ts";
import { type CoordinatorStatus, Entrance, FloatingAddress } from "../../src/index.ts";
import { freshStatus } from "../../src/status.ts";
import { FakeProcesses } from "../support/fake-processes.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const [A, B, C] = ["a", "b", "c"].map((digit) => digit.repeat(16)) as [NodeId, NodeId, NodeId];
const ADDRESS = "10.0.0.9";
const nothing = (): void => {};
const LOG = { error: nothing, warn: nothing, info: nothing, debug: nothing };

class TestNode {
  readonly process = new FakeProcesses();
  readonly entrance: Entrance;
  readonly address: FloatingAddress;
  open: OpenConnection[] = [];
  /** When it heard the other one last; undefined: never. */
  heardAt: number | undefined;
  /** What others have said of themselves. */
  readonly cutOff = new Map<NodeId, boolean>();
  published: string | undefined = "";
  isServing = true;
  status: CoordinatorStatus = freshStatus();
  /** When a quorum answered it last, while it leads. */
  quorumContactAt: () => number | undefined = () => this.#clock.monotonicMs();
  readonly #clock: VirtualClock;

  constructor(
    id: NodeId,
    clock: VirtualClock,
    send: (from: NodeId, to: NodeId, bytes: Uint8Array) => boolean,
  ) {
    this.#clock = clock;
    const mac = `02:00:00:00:00:0${id[0]}`;
    this.address = new FloatingAddress(
      { address: ADDRESS, networkInterface: "eth0" },
      {
        clock,
        process: this.process,
        log: LOG,
        resetClients: () => this.process.calls.push("reset"),
        otherWay: "home.local",
        interfaceOf: () => ({ mac, addresses: [{ address: "10.0.0.1", prefixLength: 24 }] }),
        bootMs: () => clock.monotonicMs(),
        isMember: (one) => this.entrance.isMember(one),
        contested: () => this.entrance.contested(),
        suspended: () => this.entrance.suspended(),
      },
    );
    this.entrance = new Entrance({ node: id, electionMaxMs: 4800 }, this.address, {
      clock,
      send: (to, bytes) => send(id, to, bytes),
      heardAt: () => this.heardAt,
      isServing: () => this.isServing,
      connections: () => this.open,
      macs: () => [mac],
      publish: (what) => {
        this.published = what;
      },
      toldCutOff: (from, isCutOff) => void this.cutOff.set(from, isCutOff),
    });
    this.address.start();
    this.#tick();
  }

  get tickled(): readonly string[] {
    return this.process.calls.filter((line) => line.startsWith("socat -u -"));
  }

  #tick(): void {
    const { status } = this;
    const isLeader = status.role === "leader";
    const contactAt = this.quorumContactAt() as CoordinatorStatus["quorumContactAt"];
    this.entrance.update({ ...status, quorumContactAt: isLeader ? contactAt : undefined });
    this.#clock.after(250, () => this.#tick());
  }
}

/** A leads, B follows. They look at the clock four times a second from `startMs` on. */
function twoNodes(startMs = 0) {
  const clock = new VirtualClock();
  clock.advance(startMs);
  let isLinked = true;
  const nodes = new Map<NodeId, TestNode>();
  const send = (from: NodeId, to: NodeId, bytes: Uint8Array): boolean => {
    if (isLinked) nodes.get(to)?.entrance.receive(from, bytes);
    return isLinked;
  };
  for (const id of [A, B]) nodes.set(id, new TestNode(id, clock, send));
  const [a, b] = [nodes.get(A), nodes.get(B)] as [TestNode, TestNode];
  const link = (isUp: boolean): void => {
    isLinked = isUp;
    const state = isUp ? "alive" : "dead";
    const linkedAt = isUp ? clock.monotonicMs() : undefined;
    a.entrance.peersChanged([{ id: B, state, isLinked: isUp, linkedAt }]);
    b.entrance.peersChanged([{ id: A, state, isLinked: isUp, linkedAt }]);
  };
  link(true);
  const base = {
    ...freshStatus(),
    cluster: "cluster" as CoordinatorStatus["cluster"],
    voters: [A],
    learners: [B],
  };
  const led = { ...base, hasQuorum: true, coordinator: A };
  a.status = { ...led, role: "leader" };
  b.status = led;
  /** The power of A is cut: B hears nothing any more. */
  const cutPower = (): void => {
    link(false);
    a.status = { ...base, cluster: undefined };
    b.status = { ...base, silentLeader: A };
  };
  return { clock, a, b, link, led, cutPower };
}

const client = (n: number): OpenConnection => ({
  remoteAddress: `10.0.1.${n}:${40_000 + n}`,
  serverPort: 1883,
});

test("what was told is told again at once over a link that has replaced another one", () => {
  const { clock, a, b, link } = twoNodes();
  clock.advance(1000);
  const heard = vi.spyOn(b.entrance, "receive");
  const abilities = () =>
    heard.mock.calls.filter(([, bytes]) => decodeAddressFrame(bytes)?.kind === "ability");
  clock.advance(1000);
  expect(abilities()).toEqual([]);
  link(true);
  clock.advance(300);
  expect(abilities()).toHaveLength(1);
  expect(a.address.isHeld).toBe(true);
});

test("an answer of the quorum only prolongs the address; who takes it with one says so at once", () => {
  const { clock, a, b, led } = twoNodes();
  const answered = (): string[] => {
    a.process.take();
    a.entrance.quorumAnswered({
      ...led,
      role: "leader",
      quorumContactAt: clock.monotonicMs() as MonotonicMs,
    });
    return a.process.take();
  };
  const renewal = expect.stringContaining(`addr replace ${ADDRESS}/32`);
  clock.advance(1000);
  a.quorumContactAt = () => 1000;
  clock.advance(750);
  const heard = vi.spyOn(b.entrance, "receive");
  a.open = [client(1)];
  expect(answered()).toEqual([renewal]);
  expect(heard).not.toHaveBeenCalled();
  // Then nobody answers for longer than the address is kept.
  clock.advance(3000);
  expect(a.address.isHeld).toBe(false);
  heard.mockClear();
  expect(answered()).toContainEqual(renewal);
  expect(a.address.isHeld).toBe(true);
  const told = heard.mock.calls.map(([, bytes]) => decodeAddressFrame(bytes));
  expect(told).toContainEqual(expect.objectContaining({ kind: "ability", isCutOff: false }));
  expect(told).toContainEqual(expect.objectContaining({ kind: "connections", isWhole: true }));
});

test("the survivor of two takes the address as soon as it hears no leader, and tickles the past holder's clients", () => {
  const { clock, a, b, cutPower } = twoNodes();
  a.open = [client(1), client(2)];
  clock.advance(2000);
  expect(a.address.isHeld).toBe(true);
  expect(a.published).toBe("address");
  expect(b.address.isHeld).toBe(false);
  a.open = [client(2), client(3)];
  clock.advance(600);
  cutPower();
  clock.advance(900);
  expect(b.address.isHeld).toBe(true);
  expect(b.published).toBe("address");
  expect(b.tickled.slice(0, 2)).toEqual([
    "socat -u - IP4-SENDTO:10.0.1.2:6,bind=10.0.0.9",
    "socat -u - IP4-SENDTO:10.0.1.3:6,bind=10.0.0.9",
  ]);
});

test("the survivor of two takes the address when the leader has said that it goes, though it heard it a moment ago", () => {
  const { clock, b } = twoNodes();
  clock.advance(2000);
  b.entrance.peersChanged([{ id: A, state: "left", isLinked: false, linkedAt: undefined }]);
  clock.advance(250);
  expect(b.status.hasQuorum).toBe(true);
  expect(b.address.isHeld).toBe(true);
});

const GONE = { id: A, state: "left", isLinked: false, linkedAt: undefined } as const;
test.each<[string, readonly EntrancePeer[], Partial<CoordinatorStatus>, number]>([
  ["the last of two, which has heard the other one's goodbye, asks nobody for the address", [GONE], {}, 0],
  ["another node has only fallen silent: it is asked for", [GONE, { ...GONE, id: C, state: "dead" }], {}, 1],
  ["of another member nothing is known: it is asked for", [GONE], { learners: [B, C] }, 1],
  ["there is no other member: it is asked for", [GONE], { voters: [], learners: [B] }, 1],
])("%s", (_, peers, status, questions) => {
  const { clock, b } = twoNodes();
  clock.advance(2000);
  b.process.take();
  b.entrance.peersChanged(peers);
  b.entrance.update({ ...b.status, ...status });
  expect(b.address.isHeld).toBe(true);
  expect(b.process.take().filter((call) => call.startsWith("arping -D"))).toHaveLength(questions);
});

test("a leader that has gone silent is out of reach before its link is given up, but not while anything comes from it", () => {
  const { clock, b, led } = twoNodes();
  clock.advance(2000);
  b.status = { ...led, hasQuorum: false, coordinator: undefined, silentLeader: A };
  b.heardAt = clock.monotonicMs();
  clock.advance(1000);
  expect(b.address.isHeld).toBe(false);
  clock.advance(1300);
  expect(b.address.isHeld).toBe(true);
});

test("it gives the address back, clients reset first, within a tick of hearing the leader", () => {
  const { clock, b, cutPower, link, led } = twoNodes();
  clock.advance(1000);
  cutPower();
  clock.advance(1000);
  b.process.take();
  link(true);
  b.status = led;
  clock.advance(250);
  expect(b.address.isHeld).toBe(false);
  const calls = b.process.take();
  expect(calls.indexOf("reset")).toBe(calls.indexOf("addr del 10.0.0.9/32 dev eth0") - 1);
  expect(b.published).toBeUndefined();
});

test("a leader that has held the address all along announces it to the clients of a stand-in that gives it up after a split", () => {
  const { clock, a, b, link, led } = twoNodes();
  clock.advance(10_000);
  link(false);
  b.status = { ...led, hasQuorum: false, coordinator: undefined, silentLeader: A };
  clock.advance(2000);
  expect([a.address.isHeld, b.address.isHeld]).toEqual([true, true]);
  a.process.take();
  const announcements = (): number => a.process.take().filter((line) => line.startsWith("arping -U")).length;
  link(true);
  // The stand-in lets go in the moment in which it hears the leader, and tells nobody that it had the address.
  b.status = led;
  clock.advance(250);
  expect([a.address.isHeld, b.address.isHeld]).toEqual([true, false]);
  announcements();
  clock.advance(1000);
  expect(announcements()).toBeGreaterThan(0);
});

test("who holds the address announces it anew when another node says that it serves clients on it", () => {
  const { clock, a } = twoNodes();
  clock.advance(10_000);
  a.process.take();
  const told = { kind: "connections", isWhole: true, added: [], removed: [] } as const;
  a.entrance.receive(B, encodeAddressFrame(told));
  expect(a.process.take().some((line) => line.startsWith("arping -U"))).toBe(true);
});

test("without a floating address a leader that was cut off says that it is not with the first answer, and nothing once it has stopped", () => {
  const clock = new VirtualClock();
  const told: boolean[] = [];
  const published: (string | undefined)[] = [];
  const entrance = new Entrance({ node: A, electionMaxMs: 4800 }, undefined, {
    clock,
    send: (_, bytes) => {
      const frame = decodeAddressFrame(bytes);
      if (frame?.kind === "ability") told.push(frame.isCutOff);
      return true;
    },
    heardAt: () => undefined,
    isServing: () => true,
    connections: () => [],
    macs: () => [],
    publish: (what) => void published.push(what),
    toldCutOff: nothing,
  });
  entrance.peersChanged([{ id: B, state: "alive", isLinked: true, linkedAt: 0 }]);
  const answered = (): CoordinatorStatus => ({
    ...freshStatus(),
    cluster: "cluster" as CoordinatorStatus["cluster"],
    voters: [A],
    role: "leader",
    hasQuorum: true,
    coordinator: A,
    quorumContactAt: clock.monotonicMs() as MonotonicMs,
  });
  entrance.update(answered());
  const silent = answered();
  clock.advance(2000);
  entrance.update(silent);
  expect(told.at(-1)).toBe(true);
  entrance.quorumAnswered(answered());
  expect(told.at(-1)).toBe(false);
  entrance.stop(nothing);
  published.length = 0;
  entrance.quorumAnswered(answered());
  expect(published).toEqual([]);
});

test("while the kernel of the past holder still answers, the survivor waits", () => {
  const { clock, b, cutPower } = twoNodes();
  clock.advance(1000);
  cutPower();
  b.process.answering = ["02:00:00:00:00:0a"];
  clock.advance(2000);
  expect(b.address.isHeld).toBe(false);
  b.process.answering = [];
  clock.advance(600);
  expect(b.address.isHeld).toBe(true);
});

test("a leader whose disk stands still gives the address up", () => {
  const { clock, a } = twoNodes();
  clock.advance(1000);
  a.status = { ...a.status, isDiskStalled: true };
  clock.advance(250);
  // The only voter: nobody else could lead.
  expect(a.address.isHeld).toBe(true);
  a.status = { ...a.status, voters: [A, B, "c".repeat(16) as NodeId] };
  clock.advance(250);
  expect(a.address.isHeld).toBe(false);
});

test("where nobody can set the address the leader is found by the mesh's name, and without a leader the best node", () => {
  const { clock, a, b, cutPower } = twoNodes();
  for (const { process } of [a, b]) process.complain("RTNETLINK answers: Operation not permitted");
  clock.advance(1000);
  expect([a.published, b.published]).toEqual(["node", undefined]);
  cutPower();
  clock.advance(500);
  expect(b.published).toBe("node");
});

test("a node that can set the address stands in for a leader that cannot", () => {
  const { clock, a, b } = twoNodes();
  a.process.complaint = "RTNETLINK answers: Operation not permitted";
  clock.advance(2000);
  expect(a.published).toBeUndefined();
  expect(b.address.isHeld).toBe(true);
  expect(b.published).toBe("address");
});

test("a leader that lets no clients in yet leaves the address to a node that does; alone it holds it", () => {
  const { clock, a, b, link } = twoNodes();
  a.isServing = false;
  clock.advance(2000);
  expect([a.address.isHeld, b.address.isHeld]).toEqual([false, true]);
  a.isServing = true;
  clock.advance(500);
  expect([a.address.isHeld, b.address.isHeld]).toEqual([true, false]);
  a.isServing = false;
  link(false);
  clock.advance(500);
  expect(a.address.isHeld).toBe(true);
});

test("of a leader that lets no clients in and a leaderless part of the cluster that will take it in, one holds the address", () => {
  const { clock, a, b, led } = twoNodes();
  const voters = ["b", "c", "d"].map((digit) => digit.repeat(16) as NodeId);
  // The part hears the leader's summaries, and has nobody who answers them: only one of the two thinks that it goes second.
  a.status = { ...led, role: "leader", voters: [A], learners: [] };
  b.status = { ...led, cluster: "winner" as CoordinatorStatus["cluster"], voters, isOutranked: true };
  b.status = { ...b.status, hasQuorum: false, coordinator: undefined };
  clock.advance(2000);
  expect([a.address.isHeld, b.address.isHeld]).toEqual([true, false]);
  a.isServing = false;
  clock.advance(2000);
  expect([a.address.isHeld, b.address.isHeld]).toEqual([false, true]);
});

test("what is told again, what a node can do and who is connected, goes in one packet", () => {
  const { clock, a, b } = twoNodes(130);
  a.open = [client(1)];
  clock.advance(9_800);
  const told: (string | undefined)[] = [];
  vi.spyOn(b.entrance, "receive").mockImplementation((_, bytes) => {
    told.push(decodeAddressFrame(bytes)?.kind);
    return true;
  });
  clock.advance(80);
  expect(told).toEqual([]);
  // Something has changed, a tenth of a second after the last look.
  a.entrance.update(a.status);
  expect(told).toEqual(["ability", "connections"]);
});

test("a lost difference is followed by the whole list; a second link gets it at once", () => {
  const { clock, a, b, link, cutPower } = twoNodes();
  a.open = [client(1)];
  clock.advance(1000);
  link(false);
  a.open = [client(4)];
  clock.advance(500);
  link(true);
  clock.advance(500);
  cutPower();
  clock.advance(900);
  expect(b.tickled.slice(0, 2)).toEqual(["socat -u - IP4-SENDTO:10.0.1.4:6,bind=10.0.0.9"]);
});

test("connections: only what changed is told, and applying it gives the same list", () => {
  const lists = fc.array(fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 30 }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(lists, (steps) => {
      const holder = new Connections();
      const other = new Connections();
      let known = new Set<number>();
      for (const open of steps) {
        const change = holder.observe(open.map(client));
        expect(change.added.length).toBe(open.filter((n) => !known.has(n)).length);
        const frame = { kind: "connections", isWhole: false, ...change } as const;
        const read = decodeAddressFrame(encodeAddressFrame(frame)) as typeof frame;
        other.apply(read);
        known = new Set(open);
        expect(new Set(other.all.map(({ port }) => port - 40_000))).toEqual(known);
      }
    }),
  );
});

test("connections are bounded, and what is no IP address is not among them", () => {
  const connections = new Connections();
  const many = Array.from({ length: CONNECTIONS_MAX + 10 }, (_, n) => ({
    remoteAddress: `[fd00::${n.toString(16)}]:5000`,
    serverPort: 1883,
  }));
  connections.observe([{ remoteAddress: "10.0.0.1:6,bind=evil:1", serverPort: 1883 }, ...many]);
  expect(connections.count).toBe(CONNECTIONS_MAX);
});

test("a frame that is damaged is refused without harm, one of a newer kind is passed over", () => {
  const { a } = twoNodes();
  const frame: AddressFrame = {
    kind: "ability",
    isServing: true,
    isAble: false,
    isCutOff: false,
    isOutranked: true,
    macs: ["02:00:00:00:00:07", "no mac"],
  };
  const bytes = encodeAddressFrame(frame);
  expect(decodeAddressFrame(bytes)).toEqual({ ...frame, macs: ["02:00:00:00:00:07"] });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (random) => void a.entrance.receive(B, random)));
  expect(a.entrance.receive(B, bytes.subarray(0, bytes.length - 1))).toBe(false);
  expect(a.entrance.receive(B, Uint8Array.of(99, 0, 1))).toBe(true);
});

/** A leader, and whether it has said that it is cut off. */
function leaderThatTells(): {
  readonly clock: VirtualClock;
  readonly node: TestNode;
  readonly told: boolean[];
} {
  const clock = new VirtualClock();
  const told: boolean[] = [];
  const node = new TestNode(A, clock, (_from, _to, bytes) => {
    const frame = decodeAddressFrame(bytes);
    if (frame?.kind === "ability") told.push(frame.isCutOff);
    return true;
  });
  node.entrance.peersChanged([{ id: B, state: "alive", isLinked: true, linkedAt: 0 }]);
  clock.advance(10_000);
  node.status = { ...freshStatus(), role: "leader", hasQuorum: true, coordinator: A };
  return { clock, node, told };
}

test("a leader whose followers are gone says that it is cut off, 1.5 s after a quorum has spoken, and that it is not when one answers", () => {
  const { clock, node, told } = leaderThatTells();
  node.quorumContactAt = () => 10_000;
  clock.advance(1250);
  expect(told).not.toContain(true);
  clock.advance(750);
  expect(told.at(-1)).toBe(true);
  node.quorumContactAt = () => clock.monotonicMs();
  clock.advance(250);
  expect(told.at(-1)).toBe(false);
});

test("a leader that has committed nothing yet is not cut off as long as a quorum answers, however much its followers lack", () => {
  const { clock, node, told } = leaderThatTells();
  node.quorumContactAt = () => undefined;
  clock.advance(10_000);
  expect(told).not.toContain(true);
  node.status = { ...node.status, hasQuorum: false };
  clock.advance(250);
  expect(told.at(-1)).toBe(true);
});

test("what the leader says of its quorum is passed on", () => {
  const { clock, a, b } = twoNodes();
  clock.advance(1000);
  expect(b.cutOff.get(A)).toBe(false);
  a.quorumContactAt = () => 1000;
  clock.advance(2000);
  expect(b.cutOff.get(A)).toBe(true);
});

test("a leader that was cut off goes on saying so when it has stepped down, until it hears another one", () => {
  const { clock, a, b, led } = twoNodes();
  const told: boolean[] = [];
  vi.spyOn(b.entrance, "receive").mockImplementation((_, bytes) => {
    const frame = decodeAddressFrame(bytes);
    if (frame?.kind === "ability") told.push(frame.isCutOff);
    return true;
  });
  clock.advance(1000);
  a.quorumContactAt = () => 1000;
  clock.advance(3000);
  a.status = { ...led, hasQuorum: false, coordinator: undefined };
  clock.advance(15_000);
  expect(told.at(-1)).toBe(true);
  a.status = { ...led, coordinator: B };
  clock.advance(250);
  expect(told.at(-1)).toBe(false);
});
