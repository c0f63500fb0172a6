/**
 * Reads what a SCRAM client says. Everything wrong is undefined: the client is refused, whatever it did.
 *
 * Source: RFC 5802 sections 5.1 and 7.
 */

import { decodeBase64 } from "./base64.ts";

/** Longest message of a client, in UTF-16 units: names and nonces are far shorter. */
const MESSAGE_LENGTH_MAX = 1024;

export interface ClientFirst {
  readonly username: string;
  readonly nonce: string;
  /** Comes again, in base64, in the last message. */
  readonly gs2Header: string;
  /** The part that is signed. */
  readonly bare: string;
}

/** `n,,n=user,r=nonce`. Channel binding is not offered, so a client may at most say that it could have done it (`y`). */
export function readClientFirst(text: string): ClientFirst | undefined {
  if (text.length > MESSAGE_LENGTH_MAX) return undefined;
  const found = /^([ny],(?:a=([^,]+))?,)(n=([^,]+),r=([!-+\--~]+)(?:,.*)?)$/s.exec(text);
  if (found === null) return undefined;
  const [, gs2Header = "", actingAs, bare = "", name = "", nonce = ""] = found;
  const username = readName(name);
  // Nobody may act as somebody else.
  if (username === undefined || (actingAs !== undefined && readName(actingAs) !== username)) return undefined;
  return { username, nonce, gs2Header, bare };
}

export interface ClientFinal {
  readonly gs2Header: string;
  readonly nonce: string;
  readonly proof: Uint8Array;
  /** The part that is signed. */
  readonly withoutProof: string;
}

/** `c=base64 of the header,r=nonce,p=proof`. */
export function readClientFinal(text: string): ClientFinal | undefined {
  if (text.length > 2 * MESSAGE_LENGTH_MAX) return undefined;
  const found = /^(c=([^,]+),r=([^,]+)(?:,.*)?),p=([^,]+)$/s.exec(text);
  if (found === null) return undefined;
  const [, withoutProof = "", header = "", nonce = "", proofText = ""] = found;
  const headerBytes = decodeBase64(header);
  const proof = decodeBase64(proofText);
  if (headerBytes === undefined || proof === undefined) return undefined;
  return { gs2Header: String.fromCharCode(...headerBytes), nonce, proof, withoutProof };
}

/** `=2C` is a comma and `=3D` an equals sign. */
function readName(text: string): string | undefined {
  if (/=(?!2C|3D)/.test(text)) return undefined;
  return text.replaceAll("=2C", ",").replaceAll("=3D", "=");
}
