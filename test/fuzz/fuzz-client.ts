/**
 * One connection of the fuzzer, and what must be true of everything the broker sends on it, whatever it was sent: packets
 * that mqtt-packet can read, in the order the protocol has, none larger than the client allowed, nothing after the last one.
 */

import { type Packet, parser } from "mqtt-packet";
import { FuzzStream } from "./fuzz-stream.ts";
import type { Version } from "./valid-packets.ts";

/** Fields of the packets a broker sends, as mqtt-packet reads them. */
interface ServerPacket {
  readonly cmd: Packet["cmd"];
  readonly length?: number;
  readonly reasonCode?: number;
  readonly returnCode?: number;
  readonly messageId?: number;
  readonly qos?: number;
  readonly topic?: string;
}

const SERVER_PACKETS: readonly string[] = [
  "connack",
  "publish",
  "puback",
  "pubrec",
  "pubrel",
  "pubcomp",
  "suback",
  "unsuback",
  "pingresp",
  "disconnect",
  "auth",
];

export class FuzzClient {
  readonly stream: FuzzStream;
  readonly version: Version;
  readonly #reader: ReturnType<typeof parser>;
  /** Maximum Packet Size of its CONNECT, if that went out whole. */
  packetBytesMax = Number.POSITIVE_INFINITY;
  isConnected = false;
  /** Everything it sent was well formed and complete, so that it is known where the next packet begins. */
  isOrderly = true;
  /** Reason Code of the CONNACK or DISCONNECT that ended it. */
  endedWith: number | undefined;
  /** What the broker did wrong first. */
  complaint: string | undefined;

  constructor(version: Version, remoteAddress: string) {
    this.version = version;
    const reader = parser({ protocolVersion: version });
    reader.on("packet", (packet: Packet) => this.#judge(packet as ServerPacket));
    reader.on("error", (error: Error) => this.#complain(`unreadable: ${error.message}`));
    this.#reader = reader;
    this.stream = new FuzzStream(remoteAddress, (bytes) => this.hear(bytes));
  }

  /** Bytes from the broker. */
  hear(bytes: Uint8Array): void {
    this.#reader.parse(Buffer.from(bytes));
  }

  #judge(packet: ServerPacket): void {
    const { cmd, length = 0, qos = 0, messageId = 0, topic } = packet;
    if (!SERVER_PACKETS.includes(cmd)) this.#complain(`a server does not send ${cmd}`);
    if (this.endedWith !== undefined) this.#complain(`${cmd} after the last packet`);
    if (!this.isConnected && cmd !== "connack" && cmd !== "auth") this.#complain(`${cmd} before CONNACK`);
    if (length + headerBytes(length) > this.packetBytesMax)
      this.#complain(`${cmd} of ${length} bytes is too large`);
    if (cmd === "publish" && qos > 0 && messageId === 0) this.#complain("PUBLISH with packet identifier 0");
    if (cmd === "publish" && (topic?.includes("#") || topic?.includes("+")))
      this.#complain("PUBLISH to a wildcard");
    if (cmd === "connack") this.#connack(packet);
    if (cmd === "disconnect") {
      // One that is not orderly may have said that it is of another version.
      if (this.version !== 5 && this.isOrderly) this.#complain("a DISCONNECT that its version does not have");
      this.#ended(packet.reasonCode ?? 0);
    }
  }

  #connack({ reasonCode, returnCode }: ServerPacket): void {
    const code = (this.version === 5 ? reasonCode : returnCode) ?? returnCode ?? 0;
    if (this.isConnected) this.#complain("a second CONNACK");
    if (code === 0) this.isConnected = true;
    // A damaged version byte is answered in the form of the version that it says.
    else if (code <= 5) this.endedWith = code;
    else this.#ended(code);
  }

  #ended(code: number): void {
    this.endedWith = code;
    if (this.version === 5 && code < 0x80) this.#complain(`ended with ${code}, which is no failure`);
  }

  #complain(complaint: string): void {
    this.complaint ??= complaint;
  }
}

function headerBytes(length: number): number {
  return length < 0x80 ? 2 : length < 0x4000 ? 3 : length < 0x20_0000 ? 4 : 5;
}
