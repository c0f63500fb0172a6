export { Balancer } from "./balancing/balancer.ts";
export { factsOfNewcomer, type Member, type MemberState, type NodeFacts } from "./members.ts";
export { Mesh } from "./mesh.ts";
export type { Delivery, MeshCounters, MeshOptions, MeshPorts } from "./options.ts";
