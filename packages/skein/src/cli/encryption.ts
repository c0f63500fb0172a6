/** TLS for `skein pub` and `skein sub`: mosquitto's options, and what is wrong in words. */

import { readFileSync } from "node:fs";
import { SkeinError } from "@skein/kernel";
import type { IClientOptions } from "mqtt";

export interface EncryptionOptions {
  readonly cafile?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly insecure?: true;
  /** Path of a Unix socket, in place of host and port; it is not encrypted. */
  readonly unix?: string;
}

/** Undefined: the connection is not encrypted. @throws {SkeinError} ERR_SKEIN_CONFIG */
export function encryptionOf(options: EncryptionOptions): IClientOptions | undefined {
  const { cafile, cert, key, insecure, unix } = options;
  if (cafile === undefined && cert === undefined) {
    if (key === undefined && insecure === undefined) return undefined;
    throw new SkeinError(
      "ERR_SKEIN_CONFIG",
      "Cannot use TLS without --cafile FILE, the authority of the broker.",
    );
  }
  if (unix !== undefined)
    throw new SkeinError(
      "ERR_SKEIN_CONFIG",
      "Cannot use TLS on a Unix socket: leave --cafile and --cert out.",
    );
  return {
    ...(cafile === undefined ? {} : { ca: contentOf("--cafile", cafile) }),
    ...(cert === undefined ? {} : { cert: contentOf("--cert", cert), key: contentOf("--key", key ?? cert) }),
    ...(insecure === undefined ? {} : { checkServerIdentity: () => undefined }),
  };
}

/** The sentence for a certificate of the broker that is not accepted; undefined: that is not what is wrong. */
export function certificateProblem(error: Error | undefined): string | undefined {
  const code = (error as { readonly code?: unknown } | undefined)?.code;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "its certificate is for other names. Connect to one of those with -h HOST, or add --insecure";
  if (code === "CERT_HAS_EXPIRED") return "its certificate has expired. Renew it there";
  if (typeof code === "string" && /CERT|SIGNATURE/.test(code))
    return `its certificate is not signed by an authority that is known here (${code}). Give that with --cafile FILE`;
  return undefined;
}

function contentOf(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
    throw new SkeinError("ERR_SKEIN_CONFIG", `Cannot use ${option} "${path}": ${reason}.`, { cause: error });
  }
}
