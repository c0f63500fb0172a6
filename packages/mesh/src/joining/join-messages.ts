/**
 * What a newcomer and its host say to each other, and what nodes tell each other about invitations.
 *
 * Newcomer: ASK. Host: WELCOME with all the newcomer needs, or REFUSED with the reason. Then the stream ends. Nodes: TOLD (all
 * invitations known), CLAIM (may I use this one?) to the node that made it, and its ANSWER. Every decoder throws
 * ERR_SKEIN_MALFORMED, and nothing else, on bytes that are not what they should be.
 */

import { ByteReader, type ByteWriter, isNodeId, SkeinError } from "@skein/kernel";
import type { ProtocolVersions } from "../link/protocol-version.ts";
import { CLOSED_MAX, INVITATION_STATES, OPEN_MAX, SECRET_BYTES } from "./invitation.ts";
import type { ToldInvitation } from "./invitations.ts";

/** Frames between newcomer and host; they are framed as links are. */
export const JoinFrame = { ask: 1, welcome: 2, refused: 3 } as const;

/** A WELCOME with long lists of listeners is still far below this. */
export const JOIN_FRAME_BYTES_MAX = 64 * 1024;

export interface Ask {
  readonly versions: ProtocolVersions;
  /** Human name of the newcomer. */
  readonly name: string;
}

export interface Welcome {
  readonly mesh: string;
  /** Human name of the host. */
  readonly host: string;
  /** What the program wants the newcomer to have: the mesh key and the shared settings. */
  readonly document: Uint8Array;
}

/** In wire order. */
const REASONS = ["used", "expired", "revoked", "void", "version", "notReady"] as const;
export type JoinReason = (typeof REASONS)[number];

/** What nodes say to each other inside one JOINING frame. */
export type JoiningMessage =
  | { readonly kind: "told"; readonly invitations: readonly ToldInvitation[] }
  | { readonly kind: "claim"; readonly tag: number; readonly newcomer: string }
  | { readonly kind: "answer"; readonly tag: number; readonly isGranted: boolean };

const KINDS = ["told", "claim", "answer"] as const;

export function encodeAsk({ versions, name }: Ask, out: ByteWriter): void {
  out.varint(versions.oldest).varint(versions.newest).text(name);
}

/** A later version may say more. */
export function decodeAsk(body: Uint8Array): Ask {
  const input = new ByteReader(body);
  return { versions: { oldest: input.varint(), newest: input.varint() }, name: input.text() };
}

export function encodeWelcome({ mesh, host, document }: Welcome, out: ByteWriter): void {
  out.text(mesh).text(host).bytes(document);
}

export function decodeWelcome(body: Uint8Array): Welcome {
  const input = new ByteReader(body);
  return { mesh: input.text(), host: input.text(), document: input.bytes().slice() };
}

export function encodeRefused(reason: JoinReason, out: ByteWriter): void {
  out.u8(REASONS.indexOf(reason));
}

export function decodeRefused(body: Uint8Array): JoinReason {
  const reason = REASONS[new ByteReader(body).u8()];
  if (reason === undefined) throw malformed("unknown reason");
  return reason;
}

export function encodeJoining(message: JoiningMessage, out: ByteWriter): void {
  out.u8(KINDS.indexOf(message.kind));
  if (message.kind === "claim") out.u8(message.tag).text(message.newcomer);
  else if (message.kind === "answer") out.u8(message.tag).u8(message.isGranted ? 1 : 0);
  else {
    out.u8(message.invitations.length);
    for (const { tag, secret, inviter, state, usedBy, remainingMs } of message.invitations) {
      out.u8(tag).raw(secret).text(inviter).u8(INVITATION_STATES.indexOf(state));
      out.text(usedBy).varint(remainingMs);
    }
  }
}

export function decodeJoining(body: Uint8Array): JoiningMessage {
  const input = new ByteReader(body);
  const kind = KINDS[input.u8()];
  if (kind === "claim") return { kind, tag: input.u8(), newcomer: input.text() };
  if (kind === "answer") return { kind, tag: input.u8(), isGranted: input.u8() === 1 };
  if (kind === undefined) throw malformed("unknown kind");
  const count = input.u8();
  if (count > OPEN_MAX + CLOSED_MAX) throw malformed(`${count} invitations`);
  const invitations: ToldInvitation[] = [];
  for (let at = 0; at < count; at++) invitations.push(decodeTold(input));
  return { kind, invitations };
}

function decodeTold(input: ByteReader): ToldInvitation {
  const tag = input.u8();
  const secret = input.raw(SECRET_BYTES).slice();
  const inviter = input.text();
  const state = INVITATION_STATES[input.u8()];
  if (!isNodeId(inviter) || state === undefined) throw malformed("an invitation of nobody or in no state");
  return { tag, secret, inviter, state, usedBy: input.text(), remainingMs: input.varint() };
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode join message: ${what}`);
}
