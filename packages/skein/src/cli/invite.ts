/** `skein invite`: a code with which one more device may join; `--list` and `--revoke` for those that are open. */

import type { InvitationCode, InvitationDocument } from "../admin/invite-routes.ts";
import { adminAddress, askNode, tellNode } from "./admin-client.ts";
import { EXIT_OK } from "./exit-codes.ts";
import { printable } from "./printable.ts";
import { formatTable } from "./table.ts";

export interface InviteOptions {
  /** `HOST:PORT` of the node to ask. */
  readonly http?: string;
  readonly json?: boolean;
  readonly list?: boolean;
  /** Id of the invitation to close. */
  readonly revoke?: string;
}

/** Stretching a code takes its time on a small machine. */
const INVITE_MAX_MS = 20_000;

export async function invite(options: InviteOptions): Promise<number> {
  const address = adminAddress(options.http, process.env);
  if (options.revoke !== undefined) {
    const answer = await tellNode(address, "/api/invite/revoke", { id: options.revoke });
    print(options.json === true ? JSON.stringify(answer) : `Invitation ${options.revoke} is closed.`);
  } else if (options.list === true) {
    const rows = (await askNode(address, "/api/invitations")) as readonly InvitationDocument[];
    print(options.json === true ? JSON.stringify(rows, null, 2) : formatInvitations(rows));
  } else {
    const made = (await tellNode(address, "/api/invite", {}, INVITE_MAX_MS)) as InvitationCode;
    print(options.json === true ? JSON.stringify(made, null, 2) : formatCode(made));
  }
  return EXIT_OK;
}

function formatCode({ code, mesh, linkPort }: InvitationCode): string {
  return `Join code for mesh "${mesh}":  ${code}   (one use, valid 30 min)
On the other device:  skein up --join ${code}
If it does not find this node, add:  --peer ADDRESS-OF-THIS-NODE:${linkPort}`;
}

function formatInvitations(rows: readonly InvitationDocument[]): string {
  if (rows.length === 0) return "No invitations. Make one with: skein invite";
  return formatTable(
    rows.map(({ id, state, inviter, usedBy, expiresInSeconds }) => [
      id,
      state,
      `by ${printable(inviter)}`,
      state === "open" ? `${Math.ceil(expiresInSeconds / 60)} min left` : "",
      usedBy === null ? "" : `joined: ${printable(usedBy)}`,
    ]),
  );
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
