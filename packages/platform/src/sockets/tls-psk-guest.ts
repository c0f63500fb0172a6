/**
 * A guest's way into a mesh: dials the listener of the links and proves a secret made for it, where nodes prove the mesh key.
 *
 * TLS gives the hint of the other end and asks for the secret in one callback, so stretching a code happens inside the
 * handshake, synchronously: the program has nothing else to do at that moment.
 *
 * Source: RFC 4279 section 2 (identity hint), RFC 5489; the other end is tls-psk.ts.
 */

import { connect } from "node:tls";
import { type DialAsGuest, GUEST_PREFIX, type GuestFailure, type Stream } from "@skein/kernel";
import { causeOf } from "../system-error.ts";
import { splitHostPort } from "./host-port.ts";
import { SocketStream } from "./socket-stream.ts";
import { isKeyMismatch, PSK_CONTEXT } from "./tls-psk.ts";

/** See {@link DialAsGuest}. */
export const dialAsGuest: DialAsGuest = (address, timeoutMs, prove, done) => {
  const target = splitHostPort(address);
  if (target === undefined) {
    setImmediate(() => done({ kind: "unreachable", reason: "not of the form HOST:PORT" }));
    return;
  }
  let isDone = false;
  let hasGivenUp = false;
  const finish = (result: Stream | GuestFailure): void => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    if ("kind" in result) socket.destroy();
    done(result);
  };
  const failed = (error: Error): void => {
    if (hasGivenUp) finish({ kind: "givenUp" });
    else if (isKeyMismatch(error)) finish({ kind: "wrongSecret" });
    else finish({ kind: "unreachable", reason: causeOf(error) });
  };
  const socket = connect({
    ...PSK_CONTEXT,
    host: target.host,
    port: target.port,
    pskCallback: (hint) => {
      const proof = prove(hint ?? undefined);
      hasGivenUp = proof === undefined;
      // The name alone says that this is a guest; nobody must take a node's key for a guest's secret.
      if (proof?.identity.startsWith(GUEST_PREFIX) !== true) return null;
      return { psk: proof.secret, identity: proof.identity };
    },
    checkServerIdentity: () => undefined,
  });
  socket.setNoDelay(true);
  socket.on("error", failed);
  socket.on("close", () => failed(new Error("closed during the handshake")));
  socket.once("secureConnect", () => finish(new SocketStream(socket)));
  const timer = setTimeout(() => failed(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
};
