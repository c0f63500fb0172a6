/**
 * What happens in one episode, as data: drawn from the seed beforehand, so that it can be carried out again without some of its
 * steps, which is how a failure is shortened.
 */

import type { Draws } from "./draws.ts";
import { cut, joined, mutated } from "./mutations.ts";
import { anyPacket, auth, connect, encode, type Version } from "./valid-packets.ts";
import { wrongPacket } from "./wrong-packets.ts";

export type Step =
  | { readonly kind: "open"; readonly client: number; readonly version: Version }
  /** Chunk after chunk. `isOrderly`: together they are whole packets as the specification wants them. */
  | {
      readonly kind: "bytes";
      readonly client: number;
      readonly chunks: readonly Uint8Array[];
      readonly isOrderly: boolean;
    }
  | { readonly kind: "limit"; readonly client: number; readonly packetBytesMax: number }
  /** A packet that must be answered with `reasonCode`, if the client is connected and was orderly up to here. */
  | {
      readonly kind: "wrong";
      readonly client: number;
      readonly what: string;
      readonly bytes: Uint8Array;
      readonly reasonCode: number;
    }
  | { readonly kind: "stick" | "unstick" | "sever"; readonly client: number }
  /** The mesh or the retained store keeps its answers to itself, or gives all it has kept. */
  | { readonly kind: "hold" | "holdReads" | "letRead" }
  | { readonly kind: "answer"; readonly reasonCode: number }
  | { readonly kind: "pass"; readonly ms: number }
  /** A client that does nothing wrong publishes and must be served. */
  | { readonly kind: "bystander" };

const CLIENTS_MAX = 6;
const STEPS_MAX = 60;
/** As much as one read of a socket brings, again and again. */
const FLOOD_CHUNK_BYTES = 16_384;
const FLOOD_CHUNKS = 10;
/** Of long bytes a report shows this much. */
const SHOWN_BYTES_MAX = 200;

export function drawSteps(draws: Draws): Step[] {
  const steps: Step[] = [];
  const versions: Version[] = [];
  const open = (client: number): void => {
    const version = draws.of([5, 5, 4, 3] as const);
    versions[client] = version;
    steps.push({ kind: "open", client, version });
    steps.push(...firstBytes(draws, client, version));
  };
  for (let client = 0; client <= draws.below(CLIENTS_MAX); client++) open(client);
  for (let left = draws.below(STEPS_MAX); left > 0; left--) {
    const client = draws.below(versions.length);
    if (draws.oneIn(15)) open(client);
    else steps.push(...laterSteps(draws, client, versions[client] ?? 5));
  }
  return steps;
}

/** Mostly a CONNECT, mostly a good one. */
function firstBytes(draws: Draws, client: number, version: Version): Step[] {
  const packet = connect(draws, version, `fuzz${draws.below(CLIENTS_MAX)}`);
  const properties =
    (packet as { properties?: { maximumPacketSize?: number; authenticationMethod?: string } }).properties ??
    {};
  const connectBytes = encode(packet, version);
  const isAuthenticating = properties.authenticationMethod !== undefined && !draws.oneIn(4);
  const bytes = isAuthenticating ? joined(connectBytes, encode(auth(draws), version)) : connectBytes;
  if (draws.oneIn(12)) return [sent(draws, client, draws.bytes(1 + draws.below(40)), false)];
  if (draws.oneIn(6)) return [sent(draws, client, mutated(draws, bytes), false)];
  const { maximumPacketSize } = properties;
  const limit: Step[] =
    maximumPacketSize === undefined ? [] : [{ kind: "limit", client, packetBytesMax: maximumPacketSize }];
  return [...limit, sent(draws, client, bytes, true)];
}

function laterSteps(draws: Draws, client: number, version: Version): Step[] {
  switch (draws.mostly(["packets", "damage", "wrong", "world", "client", "flood"])) {
    case "packets":
      return [sent(draws, client, somePackets(draws, version), true)];
    case "damage":
      return [sent(draws, client, mutated(draws, somePackets(draws, version)), false)];
    case "wrong":
      return [{ kind: "wrong", client, ...wrongPacket(draws) }];
    case "client":
      return [{ kind: draws.of(["stick", "unstick", "unstick", "sever"]), client }];
    case "flood":
      return [{ kind: "bytes", client, chunks: flood(draws, version), isOrderly: true }];
    default:
      return [worldStep(draws)];
  }
}

function worldStep(draws: Draws): Step {
  const kind = draws.of(["pass", "hold", "answer", "holdReads", "letRead", "bystander"] as const);
  if (kind === "pass") return { kind, ms: draws.of([250, 1_500, 6_000, 20_000]) };
  if (kind === "answer") return { kind, reasonCode: draws.of([0, 0, 0x97]) };
  return { kind };
}

function somePackets(draws: Draws, version: Version): Uint8Array {
  const count = draws.mostly([1, 2, 4]);
  return joined(...Array.from({ length: count }, () => encode(anyPacket(draws, version), version)));
}

/** The same packet again and again: what its answers take up must be bounded. */
function flood(draws: Draws, version: Version): Uint8Array[] {
  const packet = encode(anyPacket(draws, version), version);
  const chunk = joined(...Array.from({ length: Math.ceil(FLOOD_CHUNK_BYTES / packet.length) }, () => packet));
  return Array.from({ length: FLOOD_CHUNKS }, () => chunk);
}

function sent(draws: Draws, client: number, bytes: Uint8Array, isOrderly: boolean): Step {
  return { kind: "bytes", client, chunks: cut(draws, bytes), isOrderly };
}

/** As JSON, with bytes as hexadecimal digits: what a report shows. */
export function shownStep(step: Step): string {
  return JSON.stringify(step, (_, value: unknown) =>
    value instanceof Uint8Array ? shownBytes(value) : value,
  );
}

function shownBytes(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.subarray(0, SHOWN_BYTES_MAX)).toString("hex");
  return bytes.length > SHOWN_BYTES_MAX ? `${shown}... (${bytes.length} bytes)` : shown;
}
