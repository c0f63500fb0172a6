import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { refusal } from "../src/admin/request-guard.ts";

function request(remoteAddress: string, headers: Record<string, string> = {}): IncomingMessage {
  const socket = { remoteAddress, localAddress: "::ffff:192.168.1.21" };
  return { headers: { "x-skein": "1", host: "pi1:7880", ...headers }, socket } as unknown as IncomingMessage;
}

test("another machine is refused with its address and the setting that would allow it", () => {
  const answer = refusal(request("::ffff:192.168.1.77"), "local");
  expect(answer?.statusCode).toBe(403);
  expect(answer?.body).toEqual({
    error:
      "Refused: 192.168.1.77 is another machine. Run the command on this node's machine, or start the node with " +
      "--http-actions any (on a network where everybody may do that).",
  });
  expect(refusal(request("::ffff:192.168.1.77"), "any")).toBeUndefined();
});

test.each(["127.0.0.1", "::1", "::ffff:127.0.0.1", "::ffff:192.168.1.21"])(
  "%s is this machine",
  (address) => {
    expect(refusal(request(address), "local")).toBeUndefined();
  },
);

test.each([
  ["http://pi1:7880", "pi1:7880", true],
  ["http://pi1.local:7880", "pi1.local:7880", true],
  ["http://[::1]:7880", "[::1]:7880", true],
  ["http://192.168.1.21:7880", "192.168.1.21:7880", true],
  // The name of a stranger's page, which his name server has just pointed at this machine.
  ["http://evil.example:7880", "evil.example:7880", false],
  ["http://192.168.1.99:7880", "192.168.1.21:7880", false],
])("a page of %s on %s is the node's own: %s", (origin, host, isOwn) => {
  expect(refusal(request("::1", { origin, host }), "any") === undefined).toBe(isOwn);
});
