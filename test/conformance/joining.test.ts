/**
 * Who may join a mesh, statement by statement, over simulated streams and over real TLS-PSK sockets (architecture.md section 7):
 * whoever proves the secret of an open invitation, once; nobody else, and nobody else learns anything.
 */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DOCUMENT, JoinWorld, realWire, simulatedWire, stretched } from "./support/join-worlds.ts";

const MINUTE = 60_000;

describe.each([
  ["simulated streams", simulatedWire],
  ["TLS-PSK sockets", realWire],
] as const)("joining over %s", { timeout: 20_000 }, (_, wire) => {
  let world: JoinWorld;
  beforeEach(() => {
    world = new JoinWorld(wire());
  });
  afterEach(() => world.close());

  test("whoever proves the secret gets the mesh's name, the host's, and the document; the invitation is used", async () => {
    const host = await world.start();
    expect(host.mesh.invitations?.add(stretched(1))).toBeUndefined();
    const { outcome, address } = await world.join(stretched(1), [host], "pi9");
    expect(outcome).toEqual({ kind: "welcome", welcome: { mesh: "casa", host: "pi1", document: DOCUMENT } });
    expect(address).toBe(host.address);
    expect(host.mesh.invitations?.rows()).toMatchObject([{ state: "used", usedBy: "pi9" }]);
  });

  test("P10: a wrong secret and an unknown invitation look the same to a newcomer, who learns nothing", async () => {
    const host = await world.start();
    host.mesh.invitations?.add(stretched(1));
    expect((await world.join(stretched(2, 1), [host])).outcome).toEqual({ kind: "wrongCode" });
    expect((await world.join(stretched(2, 2), [host])).outcome).toEqual({ kind: "wrongCode" });
    expect(host.mesh.invitations?.rows()).toMatchObject([{ state: "open" }]);
  });

  test("a used code is said to be used, and only to who has it", async () => {
    const host = await world.start();
    host.mesh.invitations?.add(stretched(1));
    await world.join(stretched(1), [host]);
    expect((await world.join(stretched(1), [host])).outcome).toEqual({ kind: "refused", reason: "used" });
    expect((await world.join(stretched(2), [host])).outcome).toEqual({ kind: "wrongCode" });
  });

  test("a code is valid for 30 minutes, then it is said to have expired, an hour later it is forgotten", async () => {
    const host = await world.start();
    host.mesh.invitations?.add(stretched(1));
    await world.wire.pass(29 * MINUTE);
    expect(host.mesh.invitations?.rows()).toMatchObject([{ state: "open" }]);
    await world.wire.pass(MINUTE);
    expect((await world.join(stretched(1), [host])).outcome).toEqual({ kind: "refused", reason: "expired" });
    await world.wire.pass(60 * MINUTE);
    expect((await world.join(stretched(1), [host])).outcome).toEqual({ kind: "noInvitation" });
  });

  test("a revoked code is said to be revoked", async () => {
    const host = await world.start();
    host.mesh.invitations?.add(stretched(1));
    expect(host.mesh.invitations?.revoke(1)).toBe(true);
    expect((await world.join(stretched(1), [host])).outcome).toEqual({ kind: "refused", reason: "revoked" });
  });

  test("where there is no invitation a newcomer is told so before it shows anything", async () => {
    const host = await world.start();
    expect((await world.join(stretched(1), [host])).outcome).toEqual({ kind: "noInvitation" });
  });

  test("after five wrong codes within a minute an address has to wait, even with the right one", async () => {
    const host = await world.start();
    host.mesh.invitations?.add(stretched(1));
    for (let tries = 0; tries < 5; tries++) await world.join(stretched(2), [host]);
    const { outcome } = await world.join(stretched(1), [host]);
    expect(outcome).toEqual({ kind: "wait", seconds: expect.any(Number) });
    await world.wire.pass(MINUTE);
    expect((await world.join(stretched(1), [host])).outcome).toMatchObject({ kind: "welcome" });
  });

  test("after more than ten failed attempts the invitation is void, and its code is told so", async () => {
    const host = await world.start();
    host.mesh.invitations?.add(stretched(1));
    for (let tries = 0; tries < 11; tries++) {
      await world.join(stretched(2), [host]);
      if (tries % 4 === 3) await world.wire.pass(MINUTE);
    }
    expect(host.mesh.invitations?.rows()).toMatchObject([{ state: "void" }]);
    await world.wire.pass(MINUTE);
    expect((await world.join(stretched(1), [host])).outcome).toEqual({ kind: "refused", reason: "void" });
  });

  test("an attempt that breaks off after naming an invitation has been counted", async () => {
    const host = await world.start();
    host.mesh.invitations?.add(stretched(1));
    const proof = { identity: "join:01", secret: new Uint8Array(32).fill(9) };
    for (let tries = 0; tries < 5; tries++)
      await expect(world.guestStream(proof, host)).rejects.toThrow("wrongSecret");
    expect((await world.join(stretched(1), [host])).outcome).toMatchObject({ kind: "wait" });
  });

  test("a newcomer gets in through any member that is linked to the inviter; the code is used for all", async () => {
    const inviter = await world.start();
    inviter.mesh.invitations?.add(stretched(1));
    const other = await world.start();
    const third = await world.start();
    await world.wire.until("all know of it", () => third.mesh.invitations?.standing === "open");
    expect((await world.join(stretched(1), [other])).outcome).toMatchObject({
      kind: "welcome",
      welcome: { host: "pi2" },
    });
    await world.wire.until("all know that it is used", () =>
      [inviter, other, third].every(({ mesh }) => mesh.invitations?.rows()[0]?.state === "used"),
    );
    expect((await world.join(stretched(1), [third])).outcome).toEqual({ kind: "refused", reason: "used" });
  });

  test("of two newcomers with one code at two nodes at the same moment one gets in", async () => {
    const inviter = await world.start();
    inviter.mesh.invitations?.add(stretched(1));
    const others = [await world.start(), await world.start()];
    await world.wire.until("all know of it", () =>
      others.every(({ mesh }) => mesh.invitations?.standing === "open"),
    );
    const outcomes: string[] = [];
    for (const [at, other] of others.entries())
      world.begin(stretched(1), [other], `pi${8 + at}`, world.wire.host(98 + at), (result) =>
        outcomes.push(result?.outcome.kind ?? "none"),
      );
    await world.wire.until("both have an answer", () => outcomes.length === 2);
    expect(outcomes.sort()).toEqual(["refused", "welcome"]);
  });

  test("with the inviter gone another member lets the newcomer in", async () => {
    const inviter = await world.start();
    inviter.mesh.invitations?.add(stretched(1));
    const other = await world.start();
    await world.wire.until("it is known", () => other.mesh.invitations?.standing === "open");
    inviter.mesh.stop(() => {});
    await world.wire.until("the link is gone", () => world.links(other) === 0);
    expect((await world.join(stretched(1), [other])).outcome).toMatchObject({ kind: "welcome" });
  });

  test("a node that belongs to no cluster yet says so, and the code stays good", async () => {
    let document: Uint8Array | undefined;
    const host = await world.start(() => document);
    host.mesh.invitations?.add(stretched(1));
    expect((await world.join(stretched(1), [host])).outcome).toEqual({ kind: "refused", reason: "notReady" });
    document = DOCUMENT;
    expect((await world.join(stretched(1), [host])).outcome).toMatchObject({ kind: "welcome" });
  });

  test("P10: who got in as a guest and talks like a node gets nothing but the end of the stream", async () => {
    const host = await world.start();
    host.mesh.invitations?.add(stretched(1));
    const proof = { identity: "join:01", secret: new Uint8Array(32).fill(1) };
    // A heartbeat, a frame of no length, garbage.
    for (const bytes of [
      [0, 0, 0, 1, 3],
      [0, 0, 0, 0, 0],
      [255, 255, 255, 255, 255],
    ]) {
      const stream = await world.guestStream(proof, host);
      let received = 0;
      let isClosed = false;
      stream.start({
        received: ({ length }) => {
          received += length;
        },
        drained: () => {},
        closed: () => {
          isClosed = true;
        },
      });
      stream.write(Uint8Array.from(bytes));
      await world.wire.until("it is closed", () => isClosed);
      expect(received).toBe(0);
    }
    expect(host.mesh.members.length).toBe(1);
    expect((await world.join(stretched(1), [host])).outcome).toMatchObject({ kind: "welcome" });
  });

  test("a newcomer that says nothing is dropped in time, and the code stays good", async () => {
    const host = await world.start();
    host.mesh.invitations?.add(stretched(1));
    const stream = await world.guestStream({ identity: "join:01", secret: new Uint8Array(32).fill(1) }, host);
    let isClosed = false;
    stream.start({
      received: () => {},
      drained: () => {},
      closed: () => {
        isClosed = true;
      },
    });
    await world.wire.until("it is dropped", () => isClosed);
    expect(host.mesh.invitations?.rows()).toMatchObject([{ state: "open" }]);
  });

  test("nobody there is said within bounded time", async () => {
    const host = await world.start();
    const gone = { ...host, address: `${world.wire.host(77)}:1` };
    expect((await world.join(stretched(1), [gone])).outcome).toMatchObject({ kind: "unreachable" });
  });
});
