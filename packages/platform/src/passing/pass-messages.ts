/**
 * What two nodes say before one passes a client's connection on to the other: four PROXY headers of version 2, with fields of ours.
 *
 *   holder -> entry   LOCAL   hello: a number never used before
 *   entry  -> holder  LOCAL   challenge: another one
 *   holder -> entry   PROXY   the client's and the floating address, protocol, holder, proof
 *   entry  -> holder  LOCAL   proof that it takes the connection
 *
 * Both proofs are MACs under a key derived from the mesh key, over both numbers and all that is claimed, so a stranger can
 * neither claim a client's address nor repeat a recorded claim, and cannot take clients for a node either. Each proof has a
 * label of its own and the third names the node it is meant for: none can be turned back or handed to another node.
 *
 * What follows is the client's connection as it is; it is not encrypted here (decision 0007).
 */

import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import { encodeProxyHeader, type ProxyEndpoint, type ProxyHeader } from "@skein/kernel";

const NONCE = 0xe0;
const PROTOCOL = 0xe1;
const HOLDER = 0xe2;
const PROOF = 0xe3;
const NONCE_BYTES = 16;
const PROOF_BYTES = 32;

/**
 * Protocols that clients speak; each has its own listener on the node that takes them. Encrypted connections are passed on as they are,
 * and the node that takes them shows its certificate.
 */
const CLIENT_PROTOCOLS = ["mqtt", "mqtts", "ws", "wss"] as const;
export type ClientProtocol = (typeof CLIENT_PROTOCOLS)[number];

/** What the holder of the address says about a connection. */
export interface Claim {
  /** The client. */
  readonly source: ProxyEndpoint;
  /** Where it connected to. */
  readonly destination: ProxyEndpoint;
  readonly protocol: ClientProtocol;
  /** Node id of the holder. */
  readonly holder: string;
}

/** The two numbers of one conversation. */
export interface Nonces {
  readonly hello: Uint8Array;
  readonly challenge: Uint8Array;
}

export function newNonce(): Uint8Array {
  return randomBytes(NONCE_BYTES);
}

/** Hello and challenge have one form. */
export function encodeNonce(nonce: Uint8Array): Uint8Array {
  return encodeProxyHeader({ ...NOBODY, fields: [{ type: NONCE, value: nonce }] });
}

/** Undefined if `header` is neither hello nor challenge. */
export function nonceOf({ command, fields }: ProxyHeader): Uint8Array | undefined {
  const [first] = fields;
  const isNonce =
    command === "local" && fields.length === 1 && first?.type === NONCE && first.value.length === NONCE_BYTES;
  return isNonce ? first.value : undefined;
}

/** Makes and checks what only members can make. */
export class PassProofs {
  readonly #key: Uint8Array;

  constructor(meshKey: Uint8Array) {
    this.#key = new Uint8Array(hkdfSync("sha256", meshKey, new Uint8Array(0), "skein pass 1", PROOF_BYTES));
  }

  /** The third message, for the entry of `target`. */
  encodeClaim(claim: Claim, nonces: Nonces, target: string): Uint8Array {
    const header = encodeProxyHeader({
      command: "proxy",
      source: claim.source,
      destination: claim.destination,
      fields: [
        { type: PROTOCOL, value: Buffer.from(claim.protocol) },
        { type: HOLDER, value: Buffer.from(claim.holder) },
        { type: PROOF, value: new Uint8Array(PROOF_BYTES) },
      ],
    });
    const proofAt = header.length - PROOF_BYTES;
    header.set(this.#claimProof(header.subarray(0, proofAt), nonces, target), proofAt);
    return header;
  }

  /**
   * @param bytes the header as it came
   * @returns undefined if it is not a claim or was not made by a member, for `target`, in this conversation
   */
  checkClaim(header: ProxyHeader, bytes: Uint8Array, nonces: Nonces, target: string): Claim | undefined {
    const { source, destination, fields } = header;
    const [protocol, holder, proof] = fields;
    if (source === undefined || destination === undefined || fields.length !== 3) return undefined;
    if (protocol?.type !== PROTOCOL || holder?.type !== HOLDER || proof?.type !== PROOF) return undefined;
    const expected = this.#claimProof(bytes.subarray(0, bytes.length - PROOF_BYTES), nonces, target);
    if (!isSame(proof.value, expected)) return undefined;
    const name = Buffer.from(protocol.value).toString();
    const known = CLIENT_PROTOCOLS.find((one) => one === name);
    if (known === undefined) return undefined;
    return { source, destination, protocol: known, holder: Buffer.from(holder.value).toString() };
  }

  /** The fourth message, in answer to `claim` (its bytes). */
  encodeAcceptance(claim: Uint8Array, nonces: Nonces): Uint8Array {
    return encodeProxyHeader({
      ...NOBODY,
      fields: [{ type: PROOF, value: this.#mac("accepted", nonces, claim) }],
    });
  }

  isAcceptance({ command, fields }: ProxyHeader, claim: Uint8Array, nonces: Nonces): boolean {
    const [first] = fields;
    if (command !== "local" || fields.length !== 1 || first?.type !== PROOF) return false;
    return isSame(first.value, this.#mac("accepted", nonces, claim));
  }

  #claimProof(claimed: Uint8Array, nonces: Nonces, target: string): Uint8Array {
    return this.#mac(`claim for ${target}`, nonces, claimed);
  }

  /** Unambiguous: the numbers have a fixed length, and no label contains a zero. */
  #mac(label: string, { hello, challenge }: Nonces, bytes: Uint8Array): Uint8Array {
    const mac = createHmac("sha256", this.#key).update(label).update(Uint8Array.of(0));
    return mac.update(hello).update(challenge).update(bytes).digest();
  }
}

const NOBODY = { command: "local", source: undefined, destination: undefined } as const;

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
