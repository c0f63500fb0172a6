/**
 * Who a client's certificate says it is: its Common Name, or the first of its Subject Alternative Names that can be a name.
 *
 * What comes out is a user name: logs show it and rules will go by it. So a certificate that says nothing, or something that no user
 * could be called, names nobody. Source: RFC 5280 sections 4.1.2.6 and 4.2.1.6.
 */

import type { X509Certificate } from "node:crypto";

export type IdentityKind = "cn" | "san";

/** Kinds of Subject Alternative Names that can be a user's, the most usual first. */
const NAME_KINDS = ["DNS", "email", "URI", "IP Address"];
const IDENTITY_LENGTH_MAX = 256;

/** Undefined: it names nobody. */
export function identityIn(certificate: X509Certificate, kind: IdentityKind): string | undefined {
  const name = kind === "cn" ? commonName(certificate) : alternativeName(certificate.subjectAltName ?? "");
  if (name === undefined || name === "" || name.length > IDENTITY_LENGTH_MAX) return undefined;
  return /\p{C}/u.test(name) ? undefined : name;
}

/** Undefined if there is none or more than one: it must not be a matter of who reads it. */
function commonName(certificate: X509Certificate): string | undefined {
  const { CN } = certificate.toLegacyObject().subject as { readonly CN?: unknown };
  return typeof CN === "string" ? CN : undefined;
}

/** From the form in which Node gives them: `DNS:a, IP Address:b, DNS:"c, d"`, quoted as in JSON where a value could be mistaken. */
export function alternativeName(text: string): string | undefined {
  const names = new Map<string, string>();
  for (const [, kind = "", value = ""] of text.matchAll(/([^:,"]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)) {
    if (!names.has(kind)) names.set(kind, value.startsWith('"') ? String(JSON.parse(value)) : value);
  }
  for (const kind of NAME_KINDS) {
    const name = names.get(kind);
    if (name !== undefined) return name;
  }
  return undefined;
}
