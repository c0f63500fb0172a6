/**
 * One bridge network with a floating address outside the range Docker hands out, and what was left by killed runs.
 *
 * The tests start their containers without a reaper container, which cannot be pulled on a machine without a
 * registry. So everything carries a label with the process id of the test run, and a new run removes what belongs
 * to runs that no longer exist.
 */

import type { ContainerRuntimeClient } from "testcontainers";

const OWNER = "io.skein.test.pid";

/** Labels that mark a container or network as belonging to this process. */
export const OWNED: Readonly<Record<string, string>> = { [OWNER]: String(process.pid) };

/** A started network. */
export interface Bridge {
  readonly name: string;
  /** The bridge as a network device of the host. */
  readonly device: string;
  /** The first three numbers of its addresses. */
  readonly prefix: string;
  /** The floating address of the mesh on this network. */
  readonly vip: string;
  remove(): Promise<void>;
}

let created = 0;

/**
 * Creates the network in the first free /24 of a private range.
 *
 * @throws {Error} if the engine refuses for another reason than a taken range, or all 16 are taken.
 */
export async function createBridge(engine: ContainerRuntimeClient): Promise<Bridge> {
  const name = `skein-test-${process.pid}-${++created}`;
  const device = `skn${process.pid % 100_000}-${created}`;
  let refusal: unknown;
  for (let third = 64; third < 80; third += 1) {
    try {
      const network = await engine.network.create({
        Name: name,
        CheckDuplicate: true,
        Driver: "bridge",
        Labels: { ...OWNED },
        Options: { "com.docker.network.bridge.name": device },
        IPAM: { Config: [{ Subnet: `10.213.${third}.0/24`, IPRange: `10.213.${third}.0/25` }] },
      });
      const prefix = `10.213.${third}`;
      const remove = async (): Promise<void> => void (await network.remove());
      return { name, device, prefix, vip: `${prefix}.200`, remove };
    } catch (error) {
      refusal = error;
      if (!/overlap/i.test(String(error))) break;
    }
  }
  throw new Error(`Cannot create a bridge network: ${String(refusal)}`, { cause: refusal });
}

/** Removes containers and networks of test runs that were killed before they could clean up. */
export async function removeLeftovers(engine: ContainerRuntimeClient): Promise<void> {
  const { dockerode } = engine.container;
  const filters = { label: [OWNER] };
  for (const container of await dockerode.listContainers({ all: true, filters })) {
    if (isRunning(container.Labels[OWNER])) continue;
    await dockerode.getContainer(container.Id).remove({ force: true, v: true });
  }
  for (const network of await dockerode.listNetworks({ filters })) {
    if (!isRunning(network.Labels?.[OWNER])) await dockerode.getNetwork(network.Id).remove();
  }
}

function isRunning(pid: string | undefined): boolean {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    // ESRCH: the run that made it is gone.
    return false;
  }
}
