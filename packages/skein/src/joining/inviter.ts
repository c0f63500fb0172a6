/**
 * Invites newcomers on behalf of a running node: makes codes, and gives the mesh the secrets stretched from them.
 *
 * The code itself is kept nowhere: it is shown once to whoever asked for it.
 */

import { type RandomSource, SkeinError } from "@skein/kernel";
import type { InvitationRow, Invitations } from "@skein/mesh";
import type { InvitationDocument, InviteActions } from "../admin/invite-routes.ts";
import { newCode } from "./code.ts";
import { stretch } from "./stretch.ts";

/** Two codes of one tag among at most 32 invitations: one in eight or fewer. So many in a row do not happen. */
const TRIES_MAX = 20;

export interface InviterNode {
  readonly mesh: string;
  readonly salt: string;
  readonly invitations: Invitations | undefined;
  /** It belongs to a cluster, so that there is something to join. */
  readonly isFormed: boolean;
  readonly linkPort: number;
  nameOf(node: string): string;
}

/** `node`: as it is at the moment of each call. */
export function inviter(node: () => InviterNode, random: RandomSource): InviteActions {
  return {
    invite: () => invite(node, random),
    invitations: () => (node().invitations?.rows() ?? []).map((row) => documentOf(row, node())),
    revoke: (id) => {
      const tag = /^[0-9a-f]{2}$/.test(id) ? Number.parseInt(id, 16) : -1;
      if (node().invitations?.revoke(tag) === true) return;
      throw new SkeinError(
        "ERR_SKEIN_CONFIG",
        `There is no open invitation "${id}". See: skein invite --list`,
      );
    },
  };
}

async function invite(node: () => InviterNode, random: RandomSource) {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const { mesh, salt, invitations, isFormed, linkPort } = node();
    if (!isFormed || invitations === undefined) {
      throw new SkeinError(
        "ERR_SKEIN_REFUSED",
        "This node has not found or founded its mesh yet, so there is nothing to join. Try again in a few seconds: skein invite",
      );
    }
    const code = newCode(random);
    const stretched = await stretch(code, salt);
    const refusal = invitations.add(stretched);
    if (refusal === "tooMany") {
      throw new SkeinError(
        "ERR_SKEIN_REFUSED",
        "Too many invitations are open. Use one of them, or close one: skein invite --list, then skein invite --revoke ID",
      );
    }
    if (refusal === undefined)
      return { code, mesh, id: idOf(stretched[stretched.length - 1] ?? 0), linkPort };
  }
  throw new SkeinError("ERR_SKEIN_REFUSED", "No free code was found. Try again: skein invite");
}

function documentOf(
  { tag, inviter, state, usedBy, remainingMs }: InvitationRow,
  node: InviterNode,
): InvitationDocument {
  return {
    id: idOf(tag),
    state,
    inviter: node.nameOf(inviter),
    usedBy: usedBy === "" ? null : usedBy,
    expiresInSeconds: Math.round(remainingMs / 1000),
  };
}

function idOf(tag: number): string {
  return tag.toString(16).padStart(2, "0");
}
