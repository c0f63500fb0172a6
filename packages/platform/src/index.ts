export { systemBootId } from "./boot-id.ts";
export { type DataDirectory, openDataDirectory } from "./data-directory.ts";
export { type MulticastDnsOptions, multicastDns } from "./multicast-dns.ts";
export { systemClock } from "./node-clock.ts";
export { systemProcesses } from "./node-process.ts";
export { systemRandom } from "./node-random.ts";
export { type ListenOptions, listenTcp } from "./tcp.ts";
export { isKeyMismatch, type TlsPskOptions, tlsPskTransport } from "./tls-psk.ts";
export { listenWebSocket, type WebSocketListenOptions } from "./websocket.ts";
