/** What a process said before it ended may come late, through a relay for instance: it must not look like a copy of its successor. */

import type { Incarnation, StreamHandler } from "@skein/kernel";
import { expect, test } from "vitest";
import type { LinkStream } from "../src/link/link.ts";
import { LinkSet } from "../src/link/link-set.ts";
import { SPOKEN_VERSIONS } from "../src/link/protocol-version.ts";
import { FrameType, type Hello, type Resume } from "../src/messages.ts";
import { VirtualClock } from "./support/virtual-clock.ts";
import { nodeId } from "./support/world.ts";

/** One end of a way between two processes; what is written waits until the test lets it through. */
class HeldStream implements LinkStream {
  readonly remoteAddress = "10.0.0.9:7883";
  readonly localAddress = "10.0.0.1";
  readonly bufferedBytes = 0;
  other: HeldStream | undefined;
  isHeld = false;
  isReset = false;
  #handler: StreamHandler | undefined;
  #waiting: Uint8Array[] = [];

  start(handler: StreamHandler): void {
    this.#handler = handler;
  }
  write(bytes: Uint8Array): boolean {
    this.#waiting.push(bytes);
    if (!this.isHeld) this.release();
    return true;
  }
  release(): void {
    for (const bytes of this.#waiting.splice(0))
      if (this.other !== undefined) this.other.#handler?.received(bytes);
  }
  end(): void {}
  reset(): void {
    this.isReset = true;
  }
}

function way(): [HeldStream, HeldStream] {
  const [one, other] = [new HeldStream(), new HeldStream()];
  one.other = other;
  other.other = one;
  return [one, other];
}

const clock = new VirtualClock();

function process(node: number, nonce: number) {
  const seen: string[] = [];
  const startedMs = clock.monotonicMs();
  const own = (): Hello => ({
    versions: SPOKEN_VERSIONS,
    mesh: "home",
    node: nodeId(node),
    incarnation: nonce as Incarnation,
    nonce,
    name: `process ${nonce}`,
    linkPort: 7883,
    home: "here",
    uptimeMs: clock.monotonicMs() - startedMs,
  });
  const resume: Resume = { incarnation: 1 as Incarnation, lastSequence: 0, interestVersion: 0 };
  const links = new LinkSet(own, clock, {
    greeted: () => resume,
    established: (link) => seen.push(`linked to ${link.hello?.name}`),
    received: () => {},
    aboutToWrite: () => {},
    lost: (link) => seen.push(`lost ${link.hello?.name}`),
    refused: () => seen.push("refused"),
    twinsFound: () => seen.push("twins"),
    yielded: () => seen.push("yielded"),
    outrun: () => seen.push("outrun"),
    failed: () => {},
  });
  const run = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 250) {
      clock.run(250);
      links.tick();
    }
  };
  return { links, seen, run };
}

test("a HELLO that a process sent before it ended takes no link from the process that was started after it", () => {
  const peer = process(1, 1);
  const before = process(2, 2);
  const [fromBefore, late] = way();
  fromBefore.isHeld = true;
  before.links.add(fromBefore, true, "10.0.0.1:7883");
  clock.run(3000);
  const after = process(2, 3);
  const [fromAfter, direct] = way();
  after.links.add(fromAfter, true, "10.0.0.1:7883");
  peer.links.add(direct, false, "10.0.0.2:7883");
  clock.run(100);
  // The stream through the relay arrives only now, with what was said on it. Nobody is there to answer.
  peer.links.add(late, false, "through a relay");
  fromBefore.release();
  late.other = undefined;
  for (let passed = 0; passed < 8000; passed += 500) {
    peer.run(250);
    after.run(250);
  }
  expect(peer.seen).toEqual(["linked to process 3"]);
  expect(after.seen).toEqual(["linked to process 1"]);
});

test("nor does a whole greeting on a stream that is older than the link", () => {
  const peer = process(1, 1);
  const before = process(2, 2);
  const [fromBefore, late] = way();
  before.links.add(fromBefore, true, "10.0.0.1:7883");
  fromBefore.isHeld = true;
  peer.links.add(late, false, "10.0.0.2:7883");
  clock.run(100);
  // It has read the peer's HELLO and answered; the answer is under way when it ends.
  late.other = undefined;
  const after = process(2, 3);
  const [fromAfter, direct] = way();
  after.links.add(fromAfter, true, "10.0.0.1:7883");
  peer.links.add(direct, false, "10.0.0.2:7883");
  clock.run(100);
  fromBefore.release();
  for (let passed = 0; passed < 8000; passed += 500) {
    peer.run(250);
    after.run(250);
  }
  expect(peer.seen).toEqual(["linked to process 3"]);
  expect(after.seen).toEqual(["linked to process 1"]);
});

test("whoever is told in a greeting what it does not know loses that stream and nothing else, as before version 4 heard of later starts", () => {
  const peer = process(1, 1);
  const [fromOther, direct] = way();
  const other = process(2, 2);
  other.links.add(fromOther, true, "10.0.0.1:7883");
  peer.links.add(direct, false, "10.0.0.2:7883");
  clock.run(100);
  const [fromNewer, strange] = way();
  peer.links.add(strange, false, "10.0.0.3:7883");
  const later = Math.max(...Object.values(FrameType)) + 1;
  fromNewer.write(Uint8Array.of(0, 0, 0, 2, later, 7));
  clock.run(100);
  expect(peer.seen).toEqual(["linked to process 2"]);
  expect(strange.isReset).toBe(true);
});
