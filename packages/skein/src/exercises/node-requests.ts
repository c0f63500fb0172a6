/**
 * Questions and orders from one node's admin API to another node, over their link: `type u8 | JSON`.
 *
 * The operator stands at one node and means another; the admin API of that one is for its own machine only. Links are for
 * members only, and each node checks for itself what it is asked to do. Small and rare, hence JSON; a node of another version
 * answers that it does not know the request.
 */

import { type Clock, decodeUtf8, encodeUtf8Into, type NodeId, SkeinError, utf8Length } from "@skein/kernel";

/** Types of control frames from 64 on do not belong to the coordinator (coordinator/src/frames.ts). */
export const REQUEST_FRAME = 66;

export const DRILLS = ["kill", "pause", "partition"] as const;
export type Drill = (typeof DRILLS)[number];

export type NodeRequest =
  /** Lead no more, and give the floating address up with it. */
  | { readonly kind: "moveAddress" }
  /** How many MQTT clients came to you through the floating address? */
  | { readonly kind: "addressClients" }
  /** Fail like this, and come back after `forMs`. */
  | { readonly kind: "drill"; readonly drill: Drill; readonly forMs: number };

/** A number that was asked for, or why it cannot be done. */
export type NodeAnswer = { readonly count: number } | { readonly error: string };

export interface NodeRequestsPorts {
  readonly self: () => NodeId;
  readonly clock: Pick<Clock, "after">;
  readonly send: (to: NodeId, bytes: Uint8Array) => void;
  readonly answer: (request: NodeRequest) => NodeAnswer;
}

/** Longest frame that is read. */
const FRAME_BYTES_MAX = 4096;
/** Questions without an answer yet; more are refused. */
const OPEN_MAX = 256;

export class NodeRequests {
  readonly #ports: NodeRequestsPorts;
  readonly #open = new Map<number, (answer: NodeAnswer) => void>();
  #number = 0;

  constructor(ports: NodeRequestsPorts) {
    this.#ports = ports;
  }

  /** Asks `node`, which may be this one. @throws {SkeinError} ERR_SKEIN_REFUSED if it says no, or nothing within `timeoutMs` */
  async ask(node: NodeId, request: NodeRequest, timeoutMs: number): Promise<number> {
    const { self, clock, answer, send } = this.#ports;
    if (this.#open.size >= OPEN_MAX) throw refused("Too many requests to other nodes at once.");
    const answered = new Promise<NodeAnswer>((resolve) => {
      if (node === self()) {
        resolve(answer(request));
        return;
      }
      const number = ++this.#number;
      const timer = clock.after(timeoutMs, () => finish({ error: "The node does not answer." }));
      const finish = (said: NodeAnswer): void => {
        this.#open.delete(number);
        timer.cancel();
        resolve(said);
      };
      this.#open.set(number, finish);
      send(node, encode({ number, request }));
    });
    const said = await answered;
    if ("error" in said) throw refused(said.error);
    return said.count;
  }

  /** A frame of another node. Whatever it holds, this never throws. */
  receive(from: NodeId, bytes: Uint8Array): void {
    const frame = decode(bytes);
    if (typeof frame?.number !== "number") return;
    const { number } = frame;
    const request = parseRequest(frame.request);
    if (request !== undefined)
      this.#ports.send(from, encode({ number, answer: this.#ports.answer(request) }));
    else if (frame.request !== undefined)
      this.#ports.send(
        from,
        encode({ number, answer: { error: "That node is of a version that cannot do this." } }),
      );
    else this.#open.get(number)?.(parseAnswer(frame.answer));
  }
}

interface Frame {
  readonly number?: unknown;
  readonly request?: unknown;
  readonly answer?: unknown;
}

function encode(frame: Frame): Uint8Array {
  const text = JSON.stringify(frame);
  const bytes = new Uint8Array(1 + utf8Length(text));
  bytes[0] = REQUEST_FRAME;
  encodeUtf8Into(text, bytes, 1);
  return bytes;
}

function decode(bytes: Uint8Array): Frame | undefined {
  if (bytes.length > FRAME_BYTES_MAX) return undefined;
  try {
    return JSON.parse(decodeUtf8(bytes, 1, bytes.length)) as Frame;
  } catch {
    return undefined; // Not even JSON: a peer with a fault, which has no say here.
  }
}

function parseRequest(input: unknown): NodeRequest | undefined {
  const { kind, drill, forMs } = (input ?? {}) as Readonly<Record<string, unknown>>;
  if (kind === "moveAddress" || kind === "addressClients") return { kind };
  const isDrill = kind === "drill" && isOneOf(drill) && typeof forMs === "number" && forMs >= 0;
  return isDrill ? { kind, drill, forMs } : undefined;
}

function isOneOf(drill: unknown): drill is Drill {
  return DRILLS.some((known) => known === drill);
}

function parseAnswer(input: unknown): NodeAnswer {
  const { count, error } = (input ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof count === "number") return { count };
  return { error: typeof error === "string" ? error : "The node's answer cannot be understood." };
}

function refused(sentence: string): SkeinError {
  return new SkeinError("ERR_SKEIN_REFUSED", sentence);
}
