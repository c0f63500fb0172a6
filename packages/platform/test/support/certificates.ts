/** Certificates for tests, made by openssl when they are needed: no private key is kept in the repository. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Paths of PEM files. */
export interface Credentials {
  readonly certificate: string;
  readonly key: string;
}

export interface Subject {
  /** Common Name; undefined: none. */
  readonly cn?: string;
  /** As openssl writes it, such as `DNS:localhost,IP:127.0.0.1`. */
  readonly san?: string;
  readonly days?: number;
  /** For a certificate that is another one in the same file. */
  readonly file?: string;
}

/** An authority that signs, in a folder of its own. Whoever makes one removes it. */
export class TestAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), "skein-certificates-"));
  readonly #own: Credentials;
  #count = 0;

  constructor(name = "Test CA") {
    this.#own = this.#make("ca", { cn: name }, ["-addext", "keyUsage=keyCertSign,cRLSign"]);
  }

  /** What others check certificates with. */
  get certificate(): string {
    return this.#own.certificate;
  }

  /** A certificate of this authority, for either end. */
  issue(subject: Subject): Credentials {
    const { certificate, key } = this.#own;
    const usage = ["-addext", "basicConstraints=critical,CA:false"];
    return this.#make(subject.file ?? `leaf-${++this.#count}`, subject, [
      "-CA",
      certificate,
      "-CAkey",
      key,
      ...usage,
    ]);
  }

  /** A certificate of this authority that expired yesterday. */
  issueExpired(cn: string): Credentials {
    const { certificate, key } = this.#own;
    const made = this.#paths(`leaf-${++this.#count}`);
    const request = join(this.folder, "request.csr");
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    openssl(["req", "-new", ...curve, "-keyout", made.key, "-out", request, "-subj", `/CN=${cn}`]);
    const signed = ["-CA", certificate, "-CAkey", key, "-days", "-1", "-out", made.certificate];
    openssl(["x509", "-req", "-in", request, ...signed]);
    return made;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #make(file: string, { cn, san, days = 30 }: Subject, more: readonly string[]): Credentials {
    const made = this.#paths(file);
    const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    args.push("-keyout", made.key, "-out", made.certificate, "-days", String(days));
    args.push("-subj", cn === undefined ? "/O=nobody" : `/CN=${cn}`);
    if (san !== undefined) args.push("-addext", `subjectAltName=${san}`);
    openssl([...args, ...more]);
    return made;
  }

  #paths(file: string): Credentials {
    return { certificate: join(this.folder, `${file}.pem`), key: join(this.folder, `${file}.key`) };
  }
}

function openssl(args: readonly string[]): void {
  execFileSync("openssl", [...args], { stdio: "pipe" });
}
