/** Why a client did not get through the TLS handshake, in the words of who has to find out. */

import type { TLSSocket } from "node:tls";
import { codeOf } from "../system-error.ts";

/** What the verification of a client's certificate says (OpenSSL). */
const CERTIFICATE_WORDS = new Map([
  ["CERT_HAS_EXPIRED", "its certificate has expired"],
  ["CERT_NOT_YET_VALID", "its certificate is not valid yet; or the clock of this machine is behind"],
  ["CERT_REVOKED", "its certificate has been revoked"],
  ["INVALID_PURPOSE", "its certificate is not made for clients"],
]);

const HANDSHAKE_WORDS = new Map([
  ["ERR_TLS_HANDSHAKE_TIMEOUT", "it did not finish the TLS handshake in time"],
  ["ERR_SSL_UNSUPPORTED_PROTOCOL", "it speaks only versions of TLS before 1.2"],
  ["ERR_SSL_NO_SHARED_CIPHER", "it knows no cipher that this node and its certificate allow"],
]);

/** Why the certificate that a client has shown does not let it in. */
export function certificateFailure(socket: TLSSocket): string {
  // Node's types say Error; it is OpenSSL's name for what is wrong.
  const verdict = String(socket.authorizationError);
  return CERTIFICATE_WORDS.get(verdict) ?? `its certificate is not signed by the client CA (${verdict})`;
}

/** Why TLS itself gave a handshake up. */
export function handshakeFailure(error: Error): string {
  const code = codeOf(error) ?? "";
  const words = HANDSHAKE_WORDS.get(code);
  if (words !== undefined) return words;
  // It tells why, in an alert: unknown CA, bad, expired or unknown certificate.
  if (/ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_\w+)$/.test(code))
    return `it does not accept the certificate of this node (${code})`;
  if (/WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG|UNEXPECTED_MESSAGE/.test(code))
    return "it does not speak TLS";
  return `the TLS handshake failed (${code === "" ? error.message : code})`;
}
