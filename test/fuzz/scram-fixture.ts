/** One user whose SCRAM messages are always the same: the server's part of the nonce is known beforehand, so they can be drawn. */

import { scramAuthenticator } from "@skein/broker";
import { credentials, ScramClient, scramPorts } from "../conformance/support/scram.ts";

export const METHOD = "SCRAM-SHA-256";
export const SCRAM_PORTS = scramPorts(new Map([["user", credentials("password", Buffer.from("salt"))]]));

const client = new ScramClient("user", "password");
const answer = scramAuthenticator(SCRAM_PORTS).begin(METHOD)?.step(client.first);
if (answer?.kind !== "continue") throw new Error("the server does not know its user");

export const CLIENT_FIRST = client.first;
export const CLIENT_FINAL = client.final(answer.data);
