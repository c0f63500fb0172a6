/**
 * The last messages that the log has published to live subscribers: wills, and QoS 2 messages of kept sessions.
 *
 * The log brings such a message to a node once, when its entry is applied, and nothing of it is left in the state. A replica that takes over a
 * snapshot instead of the entries would pass it by, and the live subscribers of its node with it, though it was acknowledged. So the state holds
 * the last of these messages, each with the index of its entry: who takes over a snapshot hands out those behind what it had applied itself, in
 * the order of the log. They are bounded in number and bytes, and in age, because a will of an hour ago is no news. Each is kept as a snapshot has it.
 *
 * Nothing else depends on them, so they are not part of the state's hash: a replica that was restored from a snapshot of an
 * earlier format has fewer.
 *
 * Source: architecture.md section 2, P5 (live subscribers).
 */

import { ByteReader, ByteWriter, decodeMessage, encodeMessage, type NodeId, SkeinError } from "@skein/kernel";
import { readNodeId, writeNodeId } from "../wire-ids.ts";
import type { Applied } from "./applied.ts";
import { type Command, decodeCommand } from "./commands.ts";
import type { Publication } from "./sessions/publishing-port.ts";

const COUNT_MAX = 1000;
const BYTES_MAX = 1024 * 1024;
/** Of the time of the sessions, ms. */
const AGE_MAX_MS = 60_000;

const COMMAND = 1;
const WILL = 0;

export interface RecentPublication {
  /** Log index of its entry. */
  readonly index: number;
  /** Whose command has published it ({@link askedBy}). */
  readonly by: NodeId | undefined;
  /** The command whose message it is; undefined: it is a will. */
  readonly command: Command | undefined;
  readonly publication: Publication;
}

/** One as a snapshot has it. */
export interface PackedPublication {
  /** Log index of its entry. */
  readonly index: number;
  /** SessionTime, ms. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** The node that has asked for the command; undefined: it is the leader's. */
export function askedBy({ command, clusterCommand }: Applied): NodeId | undefined {
  return command?.envelope.node ?? (clusterCommand?.kind === "nodeDown" ? clusterCommand.by : undefined);
}

const out = new ByteWriter(1024);

export class RecentPublications {
  /** The oldest first. */
  #packed: PackedPublication[] = [];
  #bytes = 0;

  /** `command`: the bytes of that whose message it is; undefined: it is a will. */
  add(
    { message, publisher, dealt }: Publication,
    by: NodeId | undefined,
    command: Uint8Array | undefined,
    { index, at }: Pick<PackedPublication, "index" | "at">,
  ): void {
    out.reset().u8(by === undefined ? 0 : 1);
    if (by !== undefined) writeNodeId(by, out);
    out.varint(dealt.length);
    for (const filter of dealt) out.text(filter);
    if (command !== undefined) out.u8(COMMAND).raw(command);
    else encodeMessage(message, out.u8(WILL).text(publisher));
    const bytes = out.finish();
    this.#packed.push({ index, at, bytes });
    this.#bytes += bytes.length;
    while (this.#packed.length > COUNT_MAX || this.#bytes > BYTES_MAX || this.#isOld(at)) this.#dropOldest();
  }

  /** Those whose entries come behind `index`, as of `now` (SessionTime, ms), in the order of the log. */
  *behind(index: number, now: number): Iterable<RecentPublication> {
    for (const packed of this.#packed)
      if (packed.index > index && now - packed.at <= AGE_MAX_MS)
        yield { index: packed.index, ...unpacked(packed.bytes) };
  }

  /** The oldest first. */
  all(): readonly PackedPublication[] {
    return this.#packed;
  }

  /** Replaces everything by what {@link readPublications} gives. */
  restore(packed: readonly PackedPublication[]): void {
    this.#packed = [...packed];
    this.#bytes = packed.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  #isOld(now: number): boolean {
    const oldest = this.#packed[0];
    return oldest !== undefined && now - oldest.at > AGE_MAX_MS;
  }

  #dropOldest(): void {
    this.#bytes -= this.#packed.shift()?.bytes.length ?? 0;
  }
}

export function writePublications(packed: readonly PackedPublication[], into: ByteWriter): void {
  into.varint(packed.length);
  for (const { index, at, bytes } of packed) into.varint(index).varint(at).bytes(bytes);
}

/** What {@link writePublications} has written; each owns its bytes. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readPublications(input: ByteReader): readonly PackedPublication[] {
  const count = input.varint();
  if (count > COUNT_MAX) throw malformed(`${count} of them`);
  const packed: PackedPublication[] = [];
  for (let left = count; left > 0; left--) {
    const [index, at] = [input.varint(), input.varint()];
    const bytes = input.copy(input.varint());
    unpacked(bytes);
    if (index < (packed.at(-1)?.index ?? 0)) throw malformed("not in order");
    packed.push({ index, at, bytes });
  }
  return packed;
}

/** @throws {SkeinError} ERR_SKEIN_MALFORMED */
function unpacked(bytes: Uint8Array): Omit<RecentPublication, "index"> {
  const input = new ByteReader(bytes);
  const by = input.u8() === 0 ? undefined : readNodeId(input);
  const dealt: string[] = [];
  for (let left = input.varint(); left > 0; left--) dealt.push(input.text());
  if (input.u8() === WILL) {
    const publisher = input.text();
    const publication = { message: decodeMessage(input), publisher, dealt };
    input.end();
    return { by, command: undefined, publication };
  }
  const command = decodeCommand(input.raw(input.remaining));
  const { operation } = command;
  if (operation.kind !== "publishOnce") throw malformed(operation.kind);
  const { message, clientId: publisher } = operation;
  return { by, command, publication: { message, publisher, dealt } };
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode publications: ${what}`);
}
