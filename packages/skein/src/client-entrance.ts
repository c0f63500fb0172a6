/** Where clients get in, put together: the floating address, if there is one, and who decides about it. */

import type { Broker } from "@skein/broker";
import {
  Entrance,
  electionMaxMs,
  FloatingAddress,
  type FloatingAddressOptions,
  type InterfaceView,
  type LeaderContact,
  type TimingProfile,
} from "@skein/coordinator";
import type { Clock, Log, NodeId, ProcessPort } from "@skein/kernel";
import { type Mesh, meshLabel } from "@skein/mesh";
import type { PassedClients } from "./balancing/client-balancing.ts";

export interface EntranceSettings {
  readonly node: NodeId;
  readonly floatingAddress: FloatingAddressOptions | undefined;
  readonly timing: TimingProfile;
  readonly mesh: string;
}

/** The machine as the floating address must know it. */
export interface NetworkPort {
  /** A network interface as it is now; undefined: there is none of that name. */
  readonly interfaceOf: (name: string) => InterfaceView | undefined;
  /** Ethernet addresses of this machine. */
  readonly macs: () => readonly string[];
  /** Time since the machine was booted, sleep included, in ms; undefined: not known. */
  readonly bootMs: () => number | undefined;
}

interface EntrancePorts {
  readonly clock: Clock;
  readonly process: ProcessPort;
  readonly network: NetworkPort;
  /** Clients of the address that other nodes serve through this one. */
  readonly passedClients?: PassedClients;
  readonly log: (component: "address") => Log;
  readonly host: () => { readonly mqttPort: number };
}

/** The rest of the node. */
interface EntranceParts {
  readonly broker: Broker;
  readonly mesh: Mesh;
  readonly contact: LeaderContact;
  readonly isServing: () => boolean;
  readonly resetClients: (address: string) => void;
}

export interface ClientEntrance {
  readonly entrance: Entrance;
  readonly floatingAddress: FloatingAddress | undefined;
}

export function clientEntrance(
  { node, floatingAddress: settings, timing, mesh: meshName }: EntranceSettings,
  { clock, process, network, passedClients, log, host }: EntrancePorts,
  { broker, mesh, contact, isServing, resetClients }: EntranceParts,
): ClientEntrance {
  const floatingAddress =
    settings === undefined
      ? undefined
      : new FloatingAddress(settings, {
          clock,
          process,
          log: log("address"),
          resetClients,
          otherWay: `${meshLabel(meshName)}.local or node addresses`,
          interfaceOf: network.interfaceOf,
          bootMs: network.bootMs,
          isMember: (mac) => entrance.isMember(mac),
          contested: () => entrance.contested(),
          suspended: () => entrance.suspended(),
        });
  const entrance = new Entrance({ node, electionMaxMs: electionMaxMs(timing) }, floatingAddress, {
    clock,
    send: (to, bytes) => mesh.sendAddress(to, bytes),
    heardAt: (id) => mesh.heardAt(id),
    isServing,
    connections: () => {
      if (settings === undefined) return [];
      return [...broker.connectionsOn(settings.address), ...(passedClients?.connections() ?? [])];
    },
    macs: network.macs,
    publish: (what) => {
      const address = what === "address" ? settings?.address : undefined;
      mesh.publishEntry(what === undefined ? undefined : { address, port: host().mqttPort });
    },
    toldCutOff: (id, isCutOff) => contact.toldCutOff(id, isCutOff, clock.monotonicMs()),
  });
  return { entrance, floatingAddress };
}
