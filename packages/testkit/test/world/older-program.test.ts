import type { LinkTransport, Stream, StreamHandler } from "@skein/kernel";
import { expect, test } from "vitest";
import { olderTransport } from "../../src/world/older-program.ts";

/** A link as the program of the version before reads it; `give` is what comes in, `got` what it was given of that. */
function link() {
  let handler: StreamHandler | undefined;
  const stream: Stream = {
    remoteAddress: "b:7",
    localAddress: "a",
    bufferedBytes: 0,
    start: (given) => {
      handler = given;
    },
    write: () => true,
    pause: () => {},
    resume: () => {},
    end: () => {},
    reset: () => {},
  };
  const inner: LinkTransport = {
    dial: (_, __, done) => {
      done(stream);
      return () => {};
    },
    listen: () => {},
  };
  const got: number[] = [];
  olderTransport(inner, "node-3").dial("b:7", 1000, (result) => {
    if (result instanceof Error) throw result;
    result.start({ received: (bytes) => got.push(...bytes), drained: () => {}, closed: () => {} });
  });
  return { got, give: (...bytes: number[]) => handler?.received(Uint8Array.from(bytes)) };
}

const data = [0, 0, 0, 4, 9, 23, 23, 23];
const beat = [0, 0, 0, 1, 3];

test("the program of the version before reads what it knows, in whatever pieces it comes", () => {
  const { give, got } = link();
  const bytes = [...beat, ...data, ...beat, ...data];
  for (let at = 0; at < bytes.length; at += 3) give(...bytes.slice(at, at + 3));
  expect(got).toEqual(bytes);
});

test("a frame of the newest version sent to it ends the run", () => {
  const { give } = link();
  give(...beat, ...data, 0, 0);
  expect(() => give(0, 9, 23)).toThrow(
    "version skew: node-3 speaks up to version 2, and was sent a frame of type 23",
  );
});
