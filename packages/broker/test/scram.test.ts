import { expect, test } from "vitest";
import { credentials, ScramClient, scramPorts } from "../../../test/conformance/support/scram.ts";
import { decodeBase64, encodeBase64 } from "../src/scram/base64.ts";
import { scramAuthenticator } from "../src/scram/scram.ts";

const SALT = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
const USERS = new Map([
  ["user", credentials("pencil", SALT)],
  ["a,b=c", credentials("pencil", SALT)],
]);

function exchange(nonce?: string) {
  const begun = scramAuthenticator(scramPorts(USERS, nonce)).begin("SCRAM-SHA-256");
  if (begun === undefined) throw new Error("the method is not known");
  return (text: string | Uint8Array) => {
    const step = begun.step(typeof text === "string" ? Buffer.from(text) : text);
    return step.kind === "refused" ? step.reasonCode : Buffer.from(step.data ?? []).toString();
  };
}

test("RFC 7677 section 3: the example conversation, byte by byte", () => {
  const step = exchange("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
  expect(step("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")).toBe(
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  );
  expect(
    step(
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    ),
  ).toBe("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
});

test("other methods are not known", () => {
  const authenticator = scramAuthenticator(scramPorts(USERS));
  for (const method of ["", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "scram-sha-256"]) {
    expect(authenticator.begin(method)).toBeUndefined();
  }
});

test("a wrong password is refused with 0x86, and so is a name that does not exist, with a salt that is always the same", () => {
  const wrong = new ScramClient("user", "pen");
  const step = exchange();
  expect(step(wrong.final(Buffer.from(String(step(wrong.first)))))).toBe(0x86);
  const salts = [1, 2].map(() => {
    const nobody = new ScramClient("nobody", "pencil");
    const other = exchange();
    const first = String(other(nobody.first));
    expect(other(nobody.final(Buffer.from(first)))).toBe(0x86);
    return first;
  });
  expect(salts[0]).toBe(salts[1]);
  expect(salts[0]).not.toContain(encodeBase64(SALT));
});

test("a name with comma and equals sign is written =2C and =3D", () => {
  const client = new ScramClient("a=2Cb=3Dc", "pencil");
  const step = exchange();
  expect(step(client.final(Buffer.from(String(step(client.first)))))).toBe(client.serverFinal);
});

test.each([
  ["nothing", ""],
  ["noise", "\u0000\u0001"],
  ["bytes that are not UTF-8", Uint8Array.of(0x6e, 0xff)],
  ["channel binding, which is not offered", "p=tls-unique,,n=user,r=abc"],
  ["a name without a nonce", "n,,n=user"],
  ["an escape that does not exist", "n,,n=us=er,r=abc"],
  ["a client that acts as somebody else", "n,a=admin,n=user,r=abc"],
  ["an extension that must be understood", "n,,m=x,n=user,r=abc"],
  ["a message of 2,000 characters", `n,,n=user,r=${"a".repeat(2_000)}`],
])("refused with 0x87 at once: %s", (_what, text) => {
  expect(exchange()(text)).toBe(0x87);
});

test.each([
  ["another nonce", (final: string) => final.replace("r=clientserver", "r=clientserveR")],
  ["another header", (final: string) => final.replace("c=biws", "c=eSws")],
  ["no proof", (final: string) => final.replace(/,p=.*/, "")],
  ["a proof that is not base64", (final: string) => final.replace(/p=.*/, "p=====")],
])("the last message is refused with 0x87: %s", (_what, damage) => {
  const client = new ScramClient("user", "pencil");
  const step = exchange();
  expect(step(damage(String(client.final(Buffer.from(String(step(client.first)))))))).toBe(0x87);
});

test("a proof of the wrong length is refused", () => {
  const client = new ScramClient("user", "pencil");
  const step = exchange();
  const final = String(client.final(Buffer.from(String(step(client.first)))));
  expect(step(final.replace(/p=.*/, "p=AAAA"))).toBe(0x86);
});

test("base64 agrees with Node's on all lengths, and reads nothing else", () => {
  for (let length = 0; length < 70; length++) {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 89 + length) & 0xff);
    const text = Buffer.from(bytes).toString("base64");
    expect(encodeBase64(bytes)).toBe(text);
    expect(decodeBase64(text)).toEqual(bytes);
  }
  for (const text of ["a", "ab", "abc", "ab=c", "====", "a===", "YQ=", "YR==", "Y Q=", "\u00e4Q=="]) {
    expect(decodeBase64(text)).toBeUndefined();
  }
});
