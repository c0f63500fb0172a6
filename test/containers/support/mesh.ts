/**
 * Three node containers on one bridge, and questions about the mesh that only several answers together can settle.
 */

import { randomBytes } from "node:crypto";
import type { ContainerRuntimeClient } from "testcontainers";
import { type Bridge, createBridge, removeLeftovers } from "./bridge.ts";
import { buildImage } from "./engine.ts";
import { eventually, type Seen } from "./eventually.ts";
import { NodeContainer, type NodeStatus } from "./node-container.ts";

/** One node's container and its own view of the mesh. */
export interface View {
  readonly container: NodeContainer;
  readonly status: NodeStatus;
}

/** A mesh under test. */
export class ContainerMesh {
  readonly bridge: Bridge;
  readonly nodes: readonly NodeContainer[];

  private constructor(bridge: Bridge, nodes: readonly NodeContainer[]) {
    this.bridge = bridge;
    this.nodes = nodes;
  }

  /** Builds the image and starts three nodes at once. What was started is removed if one of them fails. */
  static async start(engine: ContainerRuntimeClient): Promise<ContainerMesh> {
    await removeLeftovers(engine);
    const image = await buildImage();
    const bridge = await createBridge(engine);
    const meshKey = randomBytes(32).toString("hex");
    const started = await Promise.allSettled(
      ["box-1", "box-2", "box-3"].map((name) =>
        NodeContainer.start(engine, { name, image, bridge, meshKey }),
      ),
    );
    const nodes = started.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const mesh = new ContainerMesh(bridge, nodes);
    const failure = started.find((result) => result.status === "rejected");
    if (failure === undefined) return mesh;
    await mesh.remove();
    throw new Error(`Cannot start a node container: ${String(failure.reason)}`, { cause: failure.reason });
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

  /** Waits until `nodes` are one cluster of three alive members that name the same coordinator. */
  formed(withinMs: number): Promise<Seen<readonly View[]>> {
    return eventually("the nodes are one cluster", { withinMs }, async () => {
      const views = await this.views();
      const [first] = views;
      for (const { status } of views) {
        check(status.cluster !== null && status.cluster === first?.status.cluster, views, "clusters differ");
        check(status.coordinator !== null, views, "no coordinator");
        check(status.coordinator === first?.status.coordinator, views, "coordinators differ");
        check(status.members.filter((member) => member.state === "alive").length === 3, views, "not 3 alive");
      }
      return views;
    });
  }

  /** Waits until all are formed, vote, hold a quorum, and say healthy. */
  healthy(withinMs: number): Promise<Seen<readonly View[]>> {
    return eventually("every node is healthy and votes", { withinMs }, async () => {
      const { value: views } = await this.formed(0);
      for (const { status } of views) {
        check(status.quorum && status.health === "healthy", views, "not healthy");
        check(
          status.members.every((member) => member.role === "leader" || member.role === "voter"),
          views,
          "not all voters",
        );
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

  /** The nodes whose kernel holds the floating address at this moment. Frozen nodes cannot be asked. */
  async holders(nodes: readonly NodeContainer[] = this.nodes): Promise<readonly NodeContainer[]> {
    const held = await Promise.all(nodes.map((node) => node.holds(this.vip)));
    return nodes.filter((_, index) => held[index]);
  }
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
