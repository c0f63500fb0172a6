/**
 * The wire format without the broker, for those who speak MQTT to it: simulated clients and test tools.
 *
 * It reads what clients send and writes what brokers send; of the other direction only PUBLISH and the acknowledgements,
 * which look the same both ways.
 */

export type { ProtocolVersion } from "./connect-packet.ts";
export { PacketType } from "./control-packets.ts";
export { FieldReader } from "./field-reader.ts";
export { type PacketHandler, PacketReader } from "./packet-reader.ts";
export { acknowledgementFrame, type Frame, writeText } from "./packet-writer.ts";
export { Property } from "./properties.ts";
export { encodePublish } from "./publish-encoder.ts";
export { PublishPacket } from "./publish-packet.ts";
export { TopicNames } from "./topic-names.ts";
