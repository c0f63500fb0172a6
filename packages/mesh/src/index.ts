export { Balancer } from "./balancing/balancer.ts";
export type { JoinOutcome } from "./joining/guest.ts";
export type { JoiningSettings } from "./joining/host.ts";
export type { InvitationRow } from "./joining/invitation.ts";
export { Invitations } from "./joining/invitations.ts";
export { type JoinResult, JoinSearch } from "./joining/search.ts";
export { factsOfNewcomer, type Member, type MemberState, type NodeFacts } from "./members.ts";
export { Mesh } from "./mesh.ts";
export type { Delivery, MeshCounters, MeshOptions, MeshPorts } from "./options.ts";
