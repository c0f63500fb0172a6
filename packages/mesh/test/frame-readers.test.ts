import type { Incarnation } from "@skein/kernel";
import { expect, test, vi } from "vitest";
import { type FrameReaders, giveFrame } from "../src/frame-readers.ts";
import type { Link } from "../src/link/link.ts";
import { FrameType } from "../src/messages.ts";
import { Peer } from "../src/peer.ts";
import { nodeId } from "./support/world.ts";

test("what comes late over a link that another one has replaced says nothing about the address any more", () => {
  const peer = new Peer(nodeId(1), 1 as Incarnation);
  const [past, present] = [{}, {}] as [Link, Link];
  const receiveAddress = vi.fn();
  const say = (link: Link, byte: number): void =>
    giveFrame(
      { receiveAddress } as unknown as FrameReaders,
      peer,
      link,
      FrameType.address,
      Uint8Array.of(byte),
    );
  peer.link = past;
  say(past, 1);
  peer.link = present;
  say(present, 2);
  say(past, 3);
  expect(receiveAddress.mock.calls.map(([, bytes]) => bytes[0])).toEqual([1, 2]);
});
