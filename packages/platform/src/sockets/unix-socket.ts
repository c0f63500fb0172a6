/**
 * MQTT over a Unix socket: for programs on this machine, told apart by the permissions of a file.
 *
 * A node that died leaves its socket behind, and the path looks taken. It is taken only if somebody answers; else the file is removed
 * and used again. Anything but a socket is left alone.
 */

import { chmodSync, existsSync, lstatSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { dirname } from "node:path";
import { SkeinError } from "@skein/kernel";
import { causeOf, codeOf } from "../system-error.ts";
import { type ClientListener, type ClientListenOptions, guardClients } from "./client-listener.ts";
import { setEnds } from "./socket-ends.ts";
import { SocketStream } from "./socket-stream.ts";

export interface UnixListenOptions extends Omit<ClientListenOptions, "tls" | "divert"> {
  readonly path: string;
  /** Permissions of the socket: whoever may write may connect. */
  readonly mode: number;
}

/** Accepts connections on a Unix socket. Its `port` is 0. */
export function listenUnix(options: UnixListenOptions): void {
  const { path, accepted, ready } = options;
  const server = createServer((socket) => accepted(new SocketStream(socket)));
  const serve = guardClients(server, options);
  server.prependListener("connection", (socket) => {
    setEnds(socket, { remoteAddress: `unix:${path}`, localAddress: "" });
  });
  const opened = (): void => ready(listening(server, options, serve));
  open(server, path, opened, (error) => {
    if (codeOf(error) !== "EADDRINUSE") {
      ready(explain(path, error));
      return;
    }
    ifAbandoned(path, (refusal) => {
      if (refusal !== undefined) ready(refusal);
      else open(server, path, opened, (again) => ready(explain(path, again)));
    });
  });
}

function open(server: Server, path: string, opened: () => void, failed: (error: Error) => void): void {
  server.once("error", failed);
  server.listen({ path }, () => {
    server.off("error", failed);
    // A connection that could not be accepted (too many open files) is lost; the listener lives on.
    server.on("error", () => {});
    opened();
  });
}

function listening(
  server: Server,
  { path, mode }: UnixListenOptions,
  serve: ClientListener["serve"],
): ClientListener | SkeinError {
  try {
    chmodSync(path, mode);
  } catch (error) {
    server.close();
    return explain(path, error);
  }
  return { port: 0, close: () => server.close(), serve };
}

/** Removes the socket that a dead process has left at `path`, or says why not. */
function ifAbandoned(path: string, done: (refusal: SkeinError | undefined) => void): void {
  const inUse = (what: string, fix: string): SkeinError =>
    new SkeinError("ERR_SKEIN_PORT_IN_USE", `Cannot listen on unix://${path}: ${what}. ${fix}`);
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) {
    done(inUse("a file is in the way that is no socket", `If nobody needs it, remove it: rm ${path}`));
    return;
  }
  const probe = connect({ path });
  probe.once("connect", () => {
    probe.destroy();
    const fix = `Stop it (see: fuser ${path}), or choose another path with --listen unix://PATH`;
    done(inUse("another program listens there", fix));
  });
  probe.once("error", (error) => {
    if (codeOf(error) !== "ECONNREFUSED") {
      done(explain(path, error));
      return;
    }
    try {
      unlinkSync(path);
      done(undefined);
    } catch (cause) {
      done(explain(path, cause));
    }
  });
}

function explain(path: string, error: unknown): SkeinError {
  const folder = dirname(path);
  const reason = existsSync(folder)
    ? `${causeOf(error)}. Choose a folder that this user may write to, with --listen unix://PATH`
    : `there is no folder ${folder}. Make it: mkdir -p ${folder}`;
  return new SkeinError("ERR_SKEIN_LISTEN", `Cannot listen on unix://${path}: ${reason}`, { cause: error });
}
