/**
 * A peer that speaks just enough of the mesh protocol to be one of a thousand: greets, beats, acknowledges, answers digests.
 *
 * A thousand whole meshes have a million ends of links; one real node among puppets has all the links that a node of such a mesh has, and
 * says and hears on them what it would there.
 */

import { ByteWriter, type Incarnation, type NodeId } from "@skein/kernel";
import {
  decodeInterestDelta,
  encodeHello,
  encodeInterestAck,
  encodeResume,
} from "../../packages/mesh/src/codec.ts";
import { FrameSplitter } from "../../packages/mesh/src/link/frame.ts";
import { SPOKEN_VERSIONS } from "../../packages/mesh/src/link/protocol-version.ts";
import { decodeMembers, encodeMembers } from "../../packages/mesh/src/member-codec.ts";
import { Echo, FrameType, type MemberRow } from "../../packages/mesh/src/messages.ts";

const FRAME_BYTES_MAX = 64 * 1024 * 1024;

export class Puppet {
  readonly id: NodeId;
  readonly #incarnation: Incarnation;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #rows: () => readonly MemberRow[];
  readonly #splitter = new FrameSplitter(FRAME_BYTES_MAX);
  #isEstablished = false;

  /** `rows`: the digest that it answers with. */
  constructor(
    id: NodeId,
    incarnation: Incarnation,
    send: (bytes: Uint8Array) => void,
    rows: () => readonly MemberRow[],
  ) {
    this.id = id;
    this.#incarnation = incarnation;
    this.#send = send;
    this.#rows = rows;
  }

  get isEstablished(): boolean {
    return this.#isEstablished;
  }

  greet(mesh: string, nonce: number): void {
    const own = { node: this.id, incarnation: this.#incarnation, name: this.id };
    const place = { linkPort: 7883, home: "unknown", uptimeMs: 0 } as const;
    const hello = { ...own, ...place, versions: SPOKEN_VERSIONS, mesh, nonce };
    this.#frame(FrameType.hello, (out) => encodeHello(hello, out));
  }

  beat(): void {
    this.#frame(FrameType.heartbeat, () => {});
  }

  /** Asks for what this one does not know. */
  sendDigest(): void {
    this.#tell(true, this.#rows());
  }

  received(bytes: Uint8Array): void {
    this.#splitter.push(bytes, (type, body) => this.#take(type, body));
  }

  #take(type: number, body: Uint8Array): void {
    if (type === FrameType.hello) {
      const resume = { incarnation: 1 as Incarnation, lastSequence: 0, interestVersion: 0 };
      this.#frame(FrameType.resume, (out) => encodeResume(resume, out));
    } else if (type === FrameType.resume) {
      this.#isEstablished = true;
    } else if (type === FrameType.heartbeat && body[0] === Echo.request) {
      this.#frame(FrameType.heartbeat, (out) => void out.u8(Echo.answer));
    } else if (type === FrameType.interestDelta) {
      const { incarnation, to: version } = decodeInterestDelta(body);
      this.#frame(FrameType.interestAck, (out) => encodeInterestAck({ incarnation, version }, out));
    } else if (type === FrameType.members && decodeMembers(body).wantsReply) {
      // With its own row; of the others it knows no more than who asks.
      this.#tell(
        false,
        this.#rows().filter(({ node }) => node === this.id),
      );
    }
  }

  #tell(wantsReply: boolean, rows: readonly MemberRow[]): void {
    this.#frame(FrameType.members, (out) => encodeMembers({ wantsReply, rows }, out));
  }

  #frame(type: number, write: (out: ByteWriter) => void): void {
    const out = new ByteWriter();
    out.u32(0).u8(type);
    write(out);
    out.setU32(0, out.length - 4);
    this.#send(out.finish());
  }
}
