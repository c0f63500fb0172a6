/**
 * Node containers on one bridge, and questions about the mesh that only several answers together can settle.
 */

import { randomBytes } from "node:crypto";
import type { ContainerRuntimeClient } from "testcontainers";
import { type Bridge, createBridge } from "./bridge.ts";
import { eventually, type Seen } from "./eventually.ts";
import { NodeContainer, type NodeSettings, type NodeStatus } from "./node-container.ts";

/** One node's container and its own view of the mesh. */
export interface View {
  readonly container: NodeContainer;
  readonly status: NodeStatus;
}

/** How many nodes, and how each is started. */
export interface MeshSettings extends Pick<NodeSettings, "image" | "environment" | "hasHealthCheck"> {
  readonly count: number;
}

/** A mesh under test. */
export class ContainerMesh {
  readonly bridge: Bridge;
  readonly nodes: readonly NodeContainer[];

  private constructor(bridge: Bridge, nodes: readonly NodeContainer[]) {
    this.bridge = bridge;
    this.nodes = nodes;
  }

  /** Makes the nodes, and starts none. What was made is removed if one of them fails. */
  static async create(engine: ContainerRuntimeClient, settings: MeshSettings): Promise<ContainerMesh> {
    const { count, image, ...options } = settings;
    const bridge = await createBridge(engine);
    const meshKey = randomBytes(32).toString("hex");
    const made = await Promise.allSettled(
      Array.from({ length: count }, (_, at) =>
        NodeContainer.create(engine, { name: `box-${at + 1}`, image, bridge, meshKey, ...options }),
      ),
    );
    const nodes = made.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const mesh = new ContainerMesh(bridge, nodes);
    const failure = made.find((result) => result.status === "rejected");
    if (failure === undefined) return mesh;
    await mesh.remove();
    throw new Error(`Cannot make a node container: ${String(failure.reason)}`, { cause: failure.reason });
  }

  /** Starts all nodes at once. */
  async start(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.start()));
  }

  /** The floating address. */
  get vip(): string {
    return this.bridge.vip;
  }

  /** Containers, their volumes and the network. */
  async remove(): Promise<void> {
    await Promise.allSettled(this.nodes.map((node) => node.remove()));
    await this.bridge.remove();
  }

  /** What each of `nodes` believes now. @throws {Error} if one does not answer. */
  async views(nodes: readonly NodeContainer[] = this.nodes): Promise<readonly View[]> {
    return Promise.all(nodes.map(async (container) => ({ container, status: await container.status() })));
  }

  /** Waits until `nodes` are one cluster of alive members that name the same coordinator. */
  formed(withinMs: number, nodes = this.nodes): Promise<Seen<readonly View[]>> {
    return eventually("the nodes are one cluster", { withinMs }, async () => {
      const views = await this.views(nodes);
      const [first] = views;
      for (const { status } of views) {
        check(status.cluster !== null && status.cluster === first?.status.cluster, views, "clusters differ");
        check(status.coordinator !== null, views, "no coordinator");
        check(status.coordinator === first?.status.coordinator, views, "coordinators differ");
        const alive = status.members.filter((member) => member.state === "alive").length;
        check(alive === nodes.length, views, `not ${nodes.length} alive`);
      }
      return views;
    });
  }

  /** Waits until all are formed, enough vote, and all have a quorum and say healthy. */
  healthy(withinMs: number): Promise<Seen<readonly View[]>> {
    return eventually("every node is healthy", { withinMs }, async () => {
      const { value: views } = await this.formed(0);
      for (const { status } of views) {
        check(status.quorum && status.health === "healthy", views, "not healthy");
        const voters = status.members.filter(({ role, state }) => role !== "learner" && state === "alive");
        check(voters.length === votersOf(this.nodes.length), views, "not as many voters as there should be");
        check(status.vip.holder === status.coordinator, views, "the coordinator does not hold the address");
      }
      return views;
    });
  }

  /** The container of the coordinator that all of `views` agree on. */
  coordinator(views: readonly View[]): View {
    const found = views.find(({ status }) => status.node === status.coordinator);
    if (found === undefined) throw new Error("No node says that it coordinates");
    return found;
  }

  /** Waits until every node has the same retained set. @returns its size. */
  async sameRetained(withinMs: number): Promise<number> {
    const seen = await eventually("retained sets are byte-identical", { withinMs }, async () => {
      const sets = await Promise.all(this.nodes.map((node) => node.retained()));
      if (new Set(sets.map((set) => set.digest)).size !== 1) throw new Error(JSON.stringify(sets));
      return sets[0]?.count ?? 0;
    });
    return seen.value;
  }

  /** The nodes whose kernel holds the floating address at this moment, frozen ones too. */
  holders(nodes: readonly NodeContainer[] = this.nodes): readonly NodeContainer[] {
    return nodes.filter((node) => node.holds(this.vip));
  }

  /** The one node whose kernel holds the address. @throws {Error} if there is none or more than one. */
  holder(): NodeContainer {
    const [first, ...more] = this.holders();
    if (first === undefined || more.length > 0)
      throw new Error(`${more.length + (first ? 1 : 0)} nodes hold the address`);
    return first;
  }
}

/** Architecture section 5: 1 voter for up to two nodes, 3 up to six, 5 from seven. */
function votersOf(nodes: number): number {
  if (nodes <= 2) return 1;
  return nodes <= 6 ? 3 : 5;
}

function check(condition: boolean, views: readonly View[], what: string): void {
  if (condition) return;
  const seen = views.map(({ container, status }) => ({
    container: container.name,
    node: status.node,
    cluster: status.cluster,
    coordinator: status.coordinator,
    health: status.health,
    reasons: status.reasons,
    holder: status.vip.holder,
    members: status.members.map((member) => `${member.id.slice(0, 8)} ${member.state} ${member.role}`),
  }));
  throw new Error(`${what}: ${JSON.stringify(seen)}`);
}
