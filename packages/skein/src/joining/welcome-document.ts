/**
 * What a newcomer is given besides the mesh's name: the mesh key, the settings that all nodes share, and where its host is.
 *
 * JSON, because later versions will say more: fields that are not known are passed over. It comes from a node that holds the
 * mesh key, over a link that only the holder of the code could open; its values are checked like a settings file all the same.
 */

import { decodeUtf8, isNodeId, type NodeId } from "@skein/kernel";
import { SHARED_SETTINGS, type SharedSettings } from "../config/shared-settings.ts";

export interface WelcomeDocument {
  /** 64 hexadecimal digits. */
  readonly key: string;
  readonly settings: SharedSettings;
  /** Id of the node that let it in. */
  readonly host: NodeId;
}

export function encodeWelcomeDocument(document: WelcomeDocument): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify({ version: 1, ...document })));
}

/** Undefined: it is not such a document. */
export function decodeWelcomeDocument(bytes: Uint8Array): WelcomeDocument | undefined {
  let content: unknown;
  try {
    content = JSON.parse(decodeUtf8(bytes, 0, bytes.length));
  } catch {
    // Not UTF-8 or not JSON: no document, whatever the reason; the caller says so.
    return undefined;
  }
  if (typeof content !== "object" || content === null) return undefined;
  const { key, host, settings } = content as Record<string, unknown>;
  if (typeof key !== "string" || !/^[0-9a-f]{64}$/.test(key)) return undefined;
  if (typeof host !== "string" || !isNodeId(host)) return undefined;
  if (typeof settings !== "object" || settings === null) return undefined;
  const given = settings as Record<string, unknown>;
  const known = SHARED_SETTINGS.flatMap((name) =>
    isValue(given[name]) ? [[name, given[name]] as const] : [],
  );
  return { key, host, settings: Object.fromEntries(known) };
}

function isValue(value: unknown): value is string | readonly string[] {
  return (
    typeof value === "string" || (Array.isArray(value) && value.every((item) => typeof item === "string"))
  );
}
