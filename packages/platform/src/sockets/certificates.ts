/**
 * Reads certificate, key and client CA from files, and says what is wrong with them before a client finds out.
 *
 * Every error is one sentence with the command that helps. A certificate that has expired is served all the same: the clock of a
 * small box may be wrong, and clients that do not check would be locked out for nothing.
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { SkeinError } from "@skein/kernel";
import { causeOf, codeOf } from "../system-error.ts";

export interface CertificateFiles {
  /** PEM; may be followed by those of the intermediate authorities. */
  readonly certificate: string;
  readonly key: string;
  /** Clients must show a certificate that one of these has signed; undefined: they are not asked. */
  readonly clientCa: string | undefined;
}

/** What a server needs. */
export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
  /** What the operator should know, one sentence each. */
  readonly warnings: readonly string[];
}

const TRY_OUT =
  "To try it out, make one: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 " +
  "-subj /CN=NAME -addext subjectAltName=DNS:NAME -keyout key.pem -out cert.pem";

/** `nowMs`: what the wall clock shows. @throws {SkeinError} ERR_SKEIN_CONFIG */
export function readTlsMaterial(files: CertificateFiles, nowMs: number): TlsMaterial {
  const cert = read("certificate", files.certificate, TRY_OUT);
  const certificate = parseCertificate("certificate", files.certificate, cert);
  const key = read("key", files.key, "Give the file with key=FILE or --tls-key FILE");
  checkKey(files, certificate, key);
  let ca: Buffer | undefined;
  if (files.clientCa !== undefined) {
    const hint = "It must hold the certificate of the authority that signs those of the clients";
    ca = read("client CA", files.clientCa, hint);
    parseCertificate("client CA", files.clientCa, ca);
  }
  try {
    createSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }) });
  } catch (error) {
    throw unusable("certificate", files.certificate, `OpenSSL refuses it: ${causeOf(error)}`, error);
  }
  return { cert, key, ca, warnings: validityWarnings(certificate, files.certificate, nowMs) };
}

function read(what: string, path: string, hint: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") throw unusable(what, path, `there is no such file. ${hint}`, error);
    if (codeOf(error) === "EACCES") {
      const command = `chgrp "$(id -g)" ${path} && chmod g+r ${path}`;
      throw unusable(
        what,
        path,
        `permission denied (EACCES). Let this user read it, as root: ${command}`,
        error,
      );
    }
    throw unusable(what, path, causeOf(error), error);
  }
}

function parseCertificate(what: string, path: string, content: Buffer): X509Certificate {
  try {
    return new X509Certificate(content);
  } catch (error) {
    throw unusable(
      what,
      path,
      `it holds no certificate in PEM form. Look at it: openssl x509 -noout -text -in ${path}`,
      error,
    );
  }
}

function checkKey(files: CertificateFiles, certificate: X509Certificate, content: Buffer): void {
  let isTheirs: boolean;
  try {
    isTheirs = certificate.checkPrivateKey(createPrivateKey(content));
  } catch (error) {
    const isLocked =
      codeOf(error) === "ERR_MISSING_PASSPHRASE" || /^-----BEGIN ENCRYPTED/m.test(content.toString());
    const reason = isLocked
      ? `it is protected by a passphrase, which a node cannot type. Take it off: openssl pkey -in ${files.key} -out open-key.pem`
      : `it holds no private key in PEM form. Look at it: openssl pkey -noout -in ${files.key}`;
    throw unusable("key", files.key, reason, error);
  }
  if (isTheirs) return;
  throw unusable(
    "key",
    files.key,
    `it does not belong to the certificate ${files.certificate}. These must print the same: ` +
      `openssl pkey -pubout -in ${files.key}, and openssl x509 -noout -pubkey -in ${files.certificate}`,
  );
}

function validityWarnings(certificate: X509Certificate, path: string, nowMs: number): string[] {
  const { validFrom, validTo } = certificate;
  const renew = `Renew it, then let this node read it again: kill -HUP ${process.pid}`;
  if (Date.parse(validTo) < nowMs)
    return [
      `The certificate ${path} has expired on ${day(validTo)}: clients that check it refuse it. ${renew}`,
    ];
  if (Date.parse(validFrom) > nowMs) {
    return [
      `The certificate ${path} is valid only from ${day(validFrom)} on: clients that check it refuse it. Is the clock right? Look: date`,
    ];
  }
  return [];
}

function day(date: string): string {
  return new Date(date).toISOString().slice(0, 10);
}

function unusable(what: string, path: string, reason: string, cause?: unknown): SkeinError {
  return new SkeinError("ERR_SKEIN_CONFIG", `Cannot use the ${what} ${path}: ${reason}.`, { cause });
}
