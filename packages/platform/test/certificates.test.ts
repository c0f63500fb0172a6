import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { alternativeName, identityIn } from "../src/sockets/certificate-identity.ts";
import { type CertificateFiles, readTlsMaterial } from "../src/sockets/certificates.ts";
import { TestAuthority } from "./support/certificates.ts";

const DAY_MS = 24 * 3600 * 1000;

const authority = new TestAuthority();
afterAll(() => authority.remove());
const good = authority.issue({ cn: "pi1" });

function files(changed: Partial<CertificateFiles> = {}): CertificateFiles {
  return { ...good, clientCa: authority.certificate, ...changed };
}

function failure(changed: Partial<CertificateFiles>): string {
  try {
    readTlsMaterial(files(changed), Date.now());
  } catch (error) {
    expect(error).toMatchObject({ code: "ERR_SKEIN_CONFIG" });
    return (error as Error).message;
  }
  throw new Error("the files were accepted");
}

function fileWith(content: string): string {
  const path = join(authority.folder, `file-${Math.random()}.pem`);
  writeFileSync(path, content);
  return path;
}

test("certificate, key and client CA that belong together are read without a warning", () => {
  const { cert, key, ca, warnings } = readTlsMaterial(files(), Date.now());
  expect(cert).toEqual(readFileSync(good.certificate));
  expect(key).toEqual(readFileSync(good.key));
  expect(ca).toEqual(readFileSync(authority.certificate));
  expect(warnings).toEqual([]);
});

test("certificate and key may stand in one file", () => {
  const both = fileWith(readFileSync(good.certificate, "utf8") + readFileSync(good.key, "utf8"));
  expect(readTlsMaterial({ certificate: both, key: both, clientCa: undefined }, Date.now()).warnings).toEqual(
    [],
  );
});

test("a missing file is one sentence that names it and what to do", () => {
  const none = "/nonexistent/x.pem";
  expect(failure({ certificate: none })).toMatch(
    /^Cannot use the certificate \/nonexistent\/x\.pem: there is no such file\. To try it out, make one: openssl req -x509 .*\.$/,
  );
  expect(failure({ key: none })).toBe(
    "Cannot use the key /nonexistent/x.pem: there is no such file. Give the file with key=FILE or --tls-key FILE.",
  );
  expect(failure({ clientCa: none })).toMatch(
    /^Cannot use the client CA \/nonexistent\/x\.pem: there is no such file\. /,
  );
});

test("the command that makes a certificate to try it out makes one that is accepted", () => {
  const [, command = ""] =
    /make one: openssl (.*)\.$/.exec(failure({ certificate: "/nonexistent/x.pem" })) ?? [];
  execFileSync("openssl", command.replaceAll("NAME", "pi1").split(" "), {
    cwd: authority.folder,
    stdio: "pipe",
  });
  const [certificate, key] = [join(authority.folder, "cert.pem"), join(authority.folder, "key.pem")];
  expect(readTlsMaterial({ certificate, key, clientCa: undefined }, Date.now()).warnings).toEqual([]);
});

test("a key that may not be read is one sentence with the command that helps", () => {
  const { key } = authority.issue({ cn: "locked" });
  chmodSync(key, 0);
  chmodSync(authority.folder, 0o711);
  const isRoot = process.getuid?.() === 0;
  // Root may read everything.
  if (isRoot) process.seteuid?.("nobody");
  try {
    expect(failure({ key })).toMatch(
      /: permission denied \(EACCES\)\. Let this user read it, as root: chgrp .*\.$/,
    );
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test("a folder in place of a key is one sentence", () => {
  expect(failure({ key: authority.folder })).toMatch(
    /^Cannot use the key \S+: it is a directory \(EISDIR\)\.$/,
  );
});

test("what is no certificate or no key is one sentence with the command to look at it", () => {
  const text = fileWith("hello\n");
  expect(failure({ certificate: text })).toBe(
    `Cannot use the certificate ${text}: it holds no certificate in PEM form. Look at it: openssl x509 -noout -text -in ${text}.`,
  );
  expect(failure({ key: text })).toBe(
    `Cannot use the key ${text}: it holds no private key in PEM form. Look at it: openssl pkey -noout -in ${text}.`,
  );
  expect(failure({ clientCa: text })).toMatch(
    /^Cannot use the client CA \S+: it holds no certificate in PEM form\. /,
  );
});

test("a key with a passphrase is one sentence with the command that takes it off", () => {
  const locked = join(authority.folder, "locked.key");
  execFileSync("openssl", ["pkey", "-in", good.key, "-aes128", "-passout", "pass:x", "-out", locked], {
    stdio: "pipe",
  });
  expect(failure({ key: locked })).toBe(
    `Cannot use the key ${locked}: it is protected by a passphrase, which a node cannot type. ` +
      `Take it off: openssl pkey -in ${locked} -out open-key.pem.`,
  );
});

test("a key of another certificate is one sentence that names both", () => {
  const other = authority.issue({ cn: "other" });
  expect(failure({ key: other.key })).toMatch(
    new RegExp(
      `^Cannot use the key ${other.key}: it does not belong to the certificate ${good.certificate}\\. `,
    ),
  );
});

test("a certificate that has expired, or is not valid yet, is served with a warning", () => {
  const expired = readTlsMaterial(files(), Date.now() + 31 * DAY_MS).warnings;
  expect(expired).toHaveLength(1);
  expect(expired[0]).toMatch(/ has expired on \d{4}-\d\d-\d\d: .*kill -HUP/);
  const early = readTlsMaterial(files(), Date.now() - DAY_MS).warnings;
  expect(early).toHaveLength(1);
  expect(early[0]).toMatch(/ is valid only from \d{4}-\d\d-\d\d on: /);
});

test.each([
  ["DNS:boiler", "boiler"],
  ["email:a@example.org, DNS:boiler, DNS:cellar", "boiler"],
  ["IP Address:192.0.2.7, URI:urn:device:7", "urn:device:7"],
  ['DNS:"a, DNS:root"', "a, DNS:root"],
  ["othername:<unsupported>", undefined],
  ["", undefined],
])("of the alternative names %j the user name is %j", (text, name) => {
  expect(alternativeName(text)).toBe(name);
});

test("the identity is the Common Name, or an alternative name, and nobody where there is none", () => {
  const certificateOf = (subject: Parameters<TestAuthority["issue"]>[0]): X509Certificate =>
    new X509Certificate(readFileSync(authority.issue(subject).certificate));
  const both = certificateOf({ cn: "boiler", san: "DNS:cellar.local" });
  expect(identityIn(both, "cn")).toBe("boiler");
  expect(identityIn(both, "san")).toBe("cellar.local");
  const nameless = certificateOf({});
  expect(identityIn(nameless, "cn")).toBeUndefined();
  expect(identityIn(nameless, "san")).toBeUndefined();
  expect(identityIn(certificateOf({ cn: "two/CN=names" }), "cn")).toBeUndefined();
});
