/** Connects `skein pub` and `skein sub` to a broker, with the letters of mosquitto_pub and mosquitto_sub. */

import { SkeinError } from "@skein/kernel";
import { type IClientOptions, type MqttClient, connect as mqttConnect } from "mqtt";
import { certificateProblem, type EncryptionOptions, encryptionOf } from "./encryption.ts";
import { wholeNumber } from "./whole-number.ts";

/** The options both commands share. */
export interface ConnectionOptions extends EncryptionOptions {
  readonly host: string;
  readonly port?: string;
  readonly qos: string;
  readonly id?: string;
  readonly protocol: string;
  readonly username?: string;
  readonly pw?: string;
}

const CONNECT_TIMEOUT_MS = 10_000;
const PROTOCOLS: Readonly<Record<string, Pick<IClientOptions, "protocolVersion" | "protocolId">>> = {
  mqttv31: { protocolId: "MQIsdp", protocolVersion: 3 },
  mqttv311: { protocolVersion: 4 },
  mqttv5: { protocolVersion: 5 },
};

/**
 * Resolves once the broker has accepted the connection. `overrides` are MQTT.js options.
 *
 * @throws {SkeinError} ERR_SKEIN_NOT_REACHABLE if nobody answers, ERR_SKEIN_CONNECT if the broker refuses,
 * ERR_SKEIN_CONFIG for an unknown protocol version, port or QoS.
 */
export function connectClient(options: ConnectionOptions, overrides: IClientOptions): Promise<MqttClient> {
  const protocol = PROTOCOLS[options.protocol];
  if (protocol === undefined)
    throw new SkeinError(
      "ERR_SKEIN_CONFIG",
      `Cannot use -V "${options.protocol}": it must be mqttv31, mqttv311 or mqttv5.`,
    );
  const { host, unix } = options;
  const encryption = encryptionOf(options);
  const port = wholeNumber("-p", options.port ?? (encryption === undefined ? "1883" : "8883"), 1, 65_535);
  const client = mqttConnect({
    ...(unix === undefined ? { host, port } : { unixSocket: true, path: unix }),
    protocol: encryption === undefined ? "mqtt" : "mqtts",
    ...encryption,
    ...protocol,
    ...(options.id === undefined ? {} : { clientId: options.id }),
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.pw === undefined ? {} : { password: options.pw }),
    connectTimeout: CONNECT_TIMEOUT_MS,
    ...overrides,
  });
  return new Promise((resolve, reject) => {
    const failed = (error?: Error): void => {
      client.end(true);
      reject(connectionError(unix ?? `${host}:${port}`, error));
    };
    client.once("error", failed);
    client.once("close", failed);
    client.once("connect", () => {
      client.off("error", failed);
      client.off("close", failed);
      resolve(client);
    });
  });
}

function connectionError(address: string, error: Error | undefined): SkeinError {
  const refusal = (error as { readonly code?: unknown } | undefined)?.code;
  if (typeof refusal === "number")
    return new SkeinError(
      "ERR_SKEIN_CONNECT",
      `The broker on ${address} refused the connection: ${error?.message}.`,
    );
  const problem = certificateProblem(error);
  if (problem !== undefined)
    return new SkeinError("ERR_SKEIN_CONNECT", `Cannot connect to ${address}: ${problem}.`);
  return new SkeinError(
    "ERR_SKEIN_NOT_REACHABLE",
    `No broker answers on ${address}. Start one with: skein up, or name another with -h HOST -p PORT`,
    { cause: error },
  );
}
