/**
 * The bytes of what a node proposes about sessions: bodies of the kinds 5 to 15 and 18 of commands.ts.
 *
 * Texts and lists are counted, ordinals of one acknowledgement are written as steps from one to the next. A command names its
 * session by Client Identifier and claim (number of its OPEN among the commands of the same proposer).
 *
 * Source: reference design, section 4.3.
 */

import {
  type ApplicationMessage,
  type ByteReader,
  type ByteWriter,
  decodeMessage,
  encodeMessage,
  isValidTopicFilter,
  isValidTopicName,
  type KeptSubscription,
  parseSharedFilter,
  type QoS,
  type SessionOpening,
  type SessionWill,
  SkeinError,
  type SubscriptionWish,
  type WillFate,
} from "@skein/kernel";
import type { IsPieceFull, Pieces } from "../../pieces.ts";
import { ownCopy } from "../take-merge.ts";

/** A session as a command names it. */
export interface Claimed {
  readonly clientId: string;
  readonly claim: number;
}

export type SessionOperation =
  /**
   * Into the queues of whoever wants it, and into the retained store if it has RETAIN. `publisher`: for No Local. `served`: shared
   * subscriptions that have it from a live member.
   */
  | {
      readonly kind: "publish";
      readonly publisher: string | undefined;
      readonly served: readonly string[];
      readonly message: ApplicationMessage;
    }
  /** A QoS 2 message of a session, for everybody, once. `isRepeated`: it came with DUP, so the client may have sent it to another node before. */
  | ({
      readonly kind: "publishOnce";
      readonly packetId: number;
      readonly isRepeated: boolean;
      readonly message: ApplicationMessage;
    } & Claimed)
  /** Its own number in the sequence of its proposer is the claim. */
  | { readonly kind: "open"; readonly opening: SessionOpening }
  | ({
      readonly kind: "close";
      readonly fate: WillFate;
      readonly expirySeconds: number;
      readonly sentThrough: number;
    } & Claimed)
  | ({ readonly kind: "subscribe"; readonly wishes: readonly SubscriptionWish[] } & Claimed)
  | ({ readonly kind: "unsubscribe"; readonly filters: readonly string[] } & Claimed)
  /** What clients have got, of several sessions. */
  | {
      readonly kind: "acknowledge";
      readonly sessions: readonly (Claimed & { readonly ordinals: readonly number[] })[];
    }
  | ({ readonly kind: "confirm"; readonly ordinal: number } & Claimed)
  | ({ readonly kind: "release"; readonly packetId: number } & Claimed)
  /** The node has started anew: what an earlier process of it held is left. */
  | { readonly kind: "nodeUp" }
  /** To a kept member of one shared subscription, because no live one is left. */
  | { readonly kind: "deal"; readonly sharedFilter: string; readonly message: ApplicationMessage };

const PUBLISH = 5;
const PUBLISH_ONCE = 6;
const OPEN = 7;
const CLOSE = 8;
const SUBSCRIBE = 9;
const UNSUBSCRIBE = 10;
const ACKNOWLEDGE = 11;
const CONFIRM = 12;
const RELEASE = 13;
const NODE_UP = 14;
const DEAL = 15;
const PUBLISH_ONCE_REPEATED = 18;

const FATES: readonly WillFate[] = ["publish", "discard", "defer"];

export function isSessionKind(kind: number): boolean {
  return (kind >= PUBLISH && kind <= DEAL) || isRepeatedKind(kind);
}

export function isRepeatedKind(kind: number): boolean {
  return kind === PUBLISH_ONCE_REPEATED;
}

/** Kind and body. */
export function writeSessionOperation(operation: SessionOperation, out: ByteWriter): void {
  switch (operation.kind) {
    case "publish":
      writeTexts(operation.served, out.u8(PUBLISH).text(operation.publisher ?? ""));
      encodeMessage(operation.message, out);
      break;
    case "publishOnce":
      writeClaimed(operation, out.u8(operation.isRepeated ? PUBLISH_ONCE_REPEATED : PUBLISH_ONCE));
      encodeMessage(operation.message, out.varint(operation.packetId));
      break;
    case "open":
      writeOpening(operation.opening, out.u8(OPEN));
      break;
    case "close":
      writeClaimed(operation, out.u8(CLOSE));
      out
        .u8(FATES.indexOf(operation.fate))
        .varint(operation.expirySeconds)
        .varint(operation.sentThrough + 1);
      break;
    case "subscribe":
      writeClaimed(operation, out.u8(SUBSCRIBE));
      out.varint(operation.wishes.length);
      for (const wish of operation.wishes) {
        writeSubscription(wish, out);
        out.u8(wish.retainHandling);
      }
      break;
    case "unsubscribe":
      writeClaimed(operation, out.u8(UNSUBSCRIBE));
      writeTexts(operation.filters, out);
      break;
    case "acknowledge":
      out.u8(ACKNOWLEDGE).varint(operation.sessions.length);
      for (const session of operation.sessions) {
        writeClaimed(session, out);
        writeRising(session.ordinals, out);
      }
      break;
    case "confirm":
      writeClaimed(operation, out.u8(CONFIRM));
      out.varint(operation.ordinal);
      break;
    case "release":
      writeClaimed(operation, out.u8(RELEASE));
      out.varint(operation.packetId);
      break;
    case "nodeUp":
      out.u8(NODE_UP);
      break;
    case "deal":
      encodeMessage(operation.message, out.u8(DEAL).text(operation.sharedFilter));
      break;
  }
}

/** The body behind `kind`. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readSessionOperation(kind: number, input: ByteReader): SessionOperation {
  switch (kind) {
    case PUBLISH:
      return {
        kind: "publish",
        publisher: input.text() || undefined,
        served: readTexts(input),
        message: readMessage(input),
      };
    case PUBLISH_ONCE:
    case PUBLISH_ONCE_REPEATED:
      return {
        kind: "publishOnce",
        ...readClaimed(input),
        packetId: readPacketId(input),
        isRepeated: kind === PUBLISH_ONCE_REPEATED,
        message: readMessage(input),
      };
    case OPEN:
      return { kind: "open", opening: readOpening(input) };
    case CLOSE:
      return {
        kind: "close",
        ...readClaimed(input),
        fate: readFate(input),
        expirySeconds: input.varint(),
        sentThrough: input.varint() - 1,
      };
    case SUBSCRIBE:
      return { kind: "subscribe", ...readClaimed(input), wishes: readList(input, readWish) };
    case UNSUBSCRIBE:
      return { kind: "unsubscribe", ...readClaimed(input), filters: readTexts(input) };
    case ACKNOWLEDGE:
      return {
        kind: "acknowledge",
        sessions: readList(input, () => ({ ...readClaimed(input), ordinals: readRising(input) })),
      };
    case CONFIRM:
      return { kind: "confirm", ...readClaimed(input), ordinal: input.varint() };
    case RELEASE:
      return { kind: "release", ...readClaimed(input), packetId: readPacketId(input) };
    case NODE_UP:
      return { kind: "nodeUp" };
    case DEAL:
      return { kind: "deal", sharedFilter: input.text(), message: readMessage(input) };
    default:
      throw malformed(`kind ${kind}`);
  }
}

// ---- parts that snapshots use, too

export function writeSubscription(subscription: KeptSubscription, out: ByteWriter): void {
  const { filter, qos, noLocal, retainAsPublished, identifier } = subscription;
  out.text(filter).u8(qos | (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0));
  out.varint(identifier ?? 0);
}

/** @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readSubscription(input: ByteReader): KeptSubscription {
  const filter = input.text();
  const shared = parseSharedFilter(filter);
  if (shared === "invalid" || (shared === undefined && !isValidTopicFilter(filter)))
    throw malformed("filter");
  const bits = input.u8();
  const identifier = input.varint();
  return {
    filter,
    qos: readQos(bits & 3),
    noLocal: (bits & 4) !== 0,
    retainAsPublished: (bits & 8) !== 0,
    identifier: identifier === 0 ? undefined : identifier,
  };
}

export function writeWill(will: SessionWill | undefined, out: ByteWriter): void {
  out.u8(will === undefined ? 0 : 1);
  if (will !== undefined) encodeMessage(will.message, out.varint(will.delaySeconds));
}

/** The payload is copied: a session keeps it for long. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readWill(input: ByteReader): SessionWill | undefined {
  if (input.u8() === 0) return undefined;
  return { delaySeconds: input.varint(), message: ownCopy(readMessage(input)) };
}

/** Numbers that rise: the first, then the step to each next one. */
export function writeRising(numbers: readonly number[], out: ByteWriter): void {
  out.varint(numbers.length);
  let before = 0;
  for (const number of numbers) {
    out.varint(number - before);
    before = number;
  }
}

export function readRising(input: ByteReader): number[] {
  let number = 0;
  return readList(input, () => (number += input.varint()));
}

/** Each item takes a byte at least, so a count is never believed beyond the bytes there are. */
export function readList<Item>(input: ByteReader, read: (input: ByteReader) => Item): Item[] {
  const items: Item[] = [];
  for (let left = readCount(input); left > 0; left--) items.push(read(input));
  return items;
}

/** The same in pieces. */
export function* readLongList<Item>(
  input: ByteReader,
  read: (input: ByteReader) => Item,
  isPieceFull: IsPieceFull,
): Pieces<Item[]> {
  const items: Item[] = [];
  for (let left = readCount(input); left > 0; left--) {
    items.push(read(input));
    if (isPieceFull()) yield;
  }
  return items;
}

/** How long a list is. */
export function readCount(input: ByteReader): number {
  const count = input.varint();
  if (count > input.remaining) throw malformed(`a list of ${count}`);
  return count;
}

export function readQos(value: number): QoS {
  if (value > 2) throw malformed(`QoS ${value}`);
  return value as QoS;
}

// ---- parts

function writeClaimed({ clientId, claim }: Claimed, out: ByteWriter): void {
  out.text(clientId).varint(claim);
}

function readClaimed(input: ByteReader): Claimed {
  return { clientId: input.text(), claim: input.varint() };
}

function writeOpening(opening: SessionOpening, out: ByteWriter): void {
  const { clientId, cleanStart, expirySeconds, keepAliveSeconds, will } = opening;
  out
    .text(clientId)
    .u8(cleanStart ? 1 : 0)
    .varint(expirySeconds)
    .varint(keepAliveSeconds)
    .varint(opening.queuedMessagesMax)
    .varint(opening.queuedBytesMax);
  writeWill(will, out);
}

function readOpening(input: ByteReader): SessionOpening {
  return {
    clientId: input.text(),
    cleanStart: input.u8() === 1,
    expirySeconds: input.varint(),
    keepAliveSeconds: input.varint(),
    queuedMessagesMax: input.varint(),
    queuedBytesMax: input.varint(),
    will: readWill(input),
  };
}

function readWish(input: ByteReader): SubscriptionWish {
  const subscription = readSubscription(input);
  return { ...subscription, retainHandling: readQos(input.u8()) };
}

function writeTexts(texts: readonly string[], out: ByteWriter): void {
  out.varint(texts.length);
  for (const text of texts) out.text(text);
}

function readTexts(input: ByteReader): string[] {
  return readList(input, () => input.text());
}

function readMessage(input: ByteReader): ApplicationMessage {
  const message = decodeMessage(input);
  if (!isValidTopicName(message.topic)) throw malformed("topic");
  return message;
}

function readPacketId(input: ByteReader): number {
  const packetId = input.varint();
  if (packetId === 0 || packetId > 0xffff) throw malformed(`packet identifier ${packetId}`);
  return packetId;
}

function readFate(input: ByteReader): WillFate {
  const fate = FATES[input.u8()];
  if (fate === undefined) throw malformed("fate of the will");
  return fate;
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode session command: ${what}`);
}
