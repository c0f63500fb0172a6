/**
 * Multicast DNS on the wire, run in a namespace of its own: each line of standard input is a list of questions (JSON) and is asked
 * in one packet; each response that is heard is a line of JSON on standard output. The argument is the address of the interface.
 */

import { createInterface } from "node:readline";
import createSocket from "multicast-dns";

const [, , address = ""] = process.argv;

const say = (fields: unknown): void => void process.stdout.write(`${JSON.stringify(fields)}\n`);

const socket = createSocket({ interface: address, bind: "0.0.0.0", loopback: false });
socket.on("response", ({ answers = [], additionals = [] }, { address: from }) =>
  say({ from, records: [...answers, ...additionals] }),
);
socket.on("ready", () => say({ from: address, records: [] }));
createInterface(process.stdin).on("line", (line) => socket.query(JSON.parse(line)));
