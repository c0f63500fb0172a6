/**
 * Which ports and directories the nodes of a demo use.
 *
 * The first node has the usual ports, so that `skein status` and every MQTT client find it without options; the others
 * follow. `--port` shifts them all by the same amount.
 */

import { wholeNumber } from "../cli/whole-number.ts";

export interface DemoNode {
  readonly name: string;
  readonly mqttPort: number;
  readonly linkPort: number;
  readonly httpPort: number;
}

const MQTT_PORT = 1883;
const HTTP_PORT = 7880;
/** Beside the usual 7883, which would collide with the API of the fourth node. */
const LINK_PORT = 7900;
const NODES_MAX = 9;
/** The highest link port must still be a port; the lowest API port is positive for any base. */
const PORT_MAX = 65_535 - (LINK_PORT - MQTT_PORT) - NODES_MAX;

/** Lays out the nodes. @throws {SkeinError} ERR_SKEIN_CONFIG */
export function demoNodes(options: { readonly nodes: string; readonly port: string }): readonly DemoNode[] {
  const count = wholeNumber("--nodes", options.nodes, 1, NODES_MAX);
  const shift = wholeNumber("--port", options.port, 1, PORT_MAX) - MQTT_PORT;
  return Array.from({ length: count }, (_, at) => ({
    name: `goose-${at + 1}`,
    mqttPort: MQTT_PORT + shift + at,
    linkPort: LINK_PORT + shift + at,
    httpPort: HTTP_PORT + shift + at,
  }));
}
