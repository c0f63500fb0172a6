/**
 * Invitations over HTTP: POST /api/invite makes one and shows its code, once; GET /api/invitations lists them without codes;
 * POST /api/invite/revoke closes one.
 */

import { type Route, requiredText } from "./route.ts";

/** An invitation as the list shows it. */
export interface InvitationDocument {
  /** Two hexadecimal digits. */
  readonly id: string;
  readonly state: "open" | "used" | "expired" | "revoked" | "void";
  /** Name of the node that made it. */
  readonly inviter: string;
  /** Name of the node that joined with it. */
  readonly usedBy: string | null;
  /** 0 unless it is open. */
  readonly expiresInSeconds: number;
}

/** A new invitation. */
export interface InvitationCode {
  readonly id: string;
  /** Five words. */
  readonly code: string;
  readonly mesh: string;
  /** Port of this node's link listener, for `--peer`. */
  readonly linkPort: number;
}

export interface InviteActions {
  invite(): Promise<InvitationCode>;
  invitations(): readonly InvitationDocument[];
  /** @throws {SkeinError} ERR_SKEIN_CONFIG if there is no such open one */
  revoke(id: string): void;
}

export const inviteRoutes: readonly Route[] = [
  { method: "POST", path: "/api/invite", handle: (_, node) => node.invite() },
  { method: "GET", path: "/api/invitations", handle: (_, node) => node.invitations() },
  {
    method: "POST",
    path: "/api/invite/revoke",
    handle: (request, node) => {
      node.revoke(requiredText(request, "id"));
      return { revoked: true };
    },
  },
];
