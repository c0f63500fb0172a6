/**
 * A node as a DNS-SD service instance: `<node id>._skein._tcp.local`, and back.
 *
 * One response holds all of it: PTR (there is such an instance), SRV (host and link port), TXT (mesh, node, cluster,
 * incarnation, protocol version) and an address record per address. Nothing here is secret and nothing is believed
 * beyond "an address worth dialling": the link proves the mesh key, and HELLO says who really answers.
 *
 * Source: RFC 6763 sections 4-6 (PTR, SRV, TXT), RFC 6762 section 10.1 (goodbye).
 */

import { type ClusterId, type DnsRecord, type Incarnation, isNodeId, type NodeId } from "@skein/kernel";
import { joinAddress } from "../link/address.ts";

/** Private type of the links between nodes; clients' `_mqtt._tcp` is another matter. */
export const SERVICE_TYPE = "_skein._tcp.local";

/** RFC 6762 section 10: records that hold an address live 120 s. */
const TTL_SECONDS = 120;
/** Addresses told per node: a Docker host has dozens, of which the first few matter. */
const ADDRESSES_MAX = 8;

export interface ServiceInstance {
  readonly mesh: string;
  readonly node: NodeId;
  readonly cluster: ClusterId | undefined;
  /** It has an invitation that can be used, or only such as could not long ago. */
  readonly invitation: "open" | "closed" | undefined;
  readonly incarnation: Incarnation;
  readonly port: number;
  readonly protocolVersion: number;
  /** IP addresses without port. */
  readonly addresses: readonly string[];
}

/** What a response says about one instance. */
export interface SeenInstance {
  readonly node: NodeId;
  readonly mesh: string;
  readonly incarnation: Incarnation;
  /** As it says; anybody can say so. */
  readonly cluster: string | undefined;
  readonly invitation: ServiceInstance["invitation"];
  /** `host:port`, best first. */
  readonly addresses: readonly string[];
  /** A goodbye (TTL 0): the node stops. */
  readonly isLeaving: boolean;
}

/** The names an instance answers for. */
export function namesOf(node: NodeId): { readonly instance: string; readonly host: string } {
  return { instance: `${node}.${SERVICE_TYPE}`, host: `skein-${node}.local` };
}

/** All records of `own`; with `isGoodbye` their lifetime is 0, which tells browsers to forget them. */
export function recordsOf(own: ServiceInstance, isGoodbye: boolean): DnsRecord[] {
  const ttlSeconds = isGoodbye ? 0 : TTL_SECONDS;
  const { instance, host } = namesOf(own.node);
  const strings = [
    `mesh=${own.mesh}`,
    `node=${own.node}`,
    ...(own.cluster === undefined ? [] : [`cluster=${own.cluster}`]),
    `inc=${own.incarnation}`,
    `port=${own.port}`,
    ...(own.invitation === undefined ? [] : [`join=${own.invitation}`]),
    `v=${own.protocolVersion}`,
  ];
  return [
    { type: "PTR", name: SERVICE_TYPE, ttlSeconds, target: instance },
    { type: "SRV", name: instance, ttlSeconds, target: host, port: own.port },
    { type: "TXT", name: instance, ttlSeconds, strings },
    ...own.addresses.slice(0, ADDRESSES_MAX).map((address): DnsRecord => {
      return { type: address.includes(":") ? "AAAA" : "A", name: host, ttlSeconds, address };
    }),
  ];
}

/** The instances of our type in one response. Records of other services, and incomplete ones, are passed over. */
export function instancesIn(records: readonly DnsRecord[], fromAddress: string): SeenInstance[] {
  const found: SeenInstance[] = [];
  for (const record of records) {
    if (record.type !== "SRV" || !sameName(record.name.slice(-SERVICE_TYPE.length), SERVICE_TYPE)) continue;
    const seen = instanceOf(record, records, fromAddress);
    if (seen !== undefined) found.push(seen);
  }
  return found;
}

function instanceOf(
  srv: DnsRecord & { readonly type: "SRV" },
  records: readonly DnsRecord[],
  fromAddress: string,
): SeenInstance | undefined {
  const keys = new Map<string, string>();
  const hosts: string[] = [];
  for (const record of records) {
    if (record.type === "TXT" && sameName(record.name, srv.name)) {
      for (const text of record.strings)
        keys.set(text.split("=", 1)[0] ?? "", text.slice(text.indexOf("=") + 1));
    } else if ((record.type === "A" || record.type === "AAAA") && sameName(record.name, srv.target)) {
      hosts.push(record.address);
    }
  }
  const node = keys.get("node");
  const incarnation = Number(keys.get("inc"));
  if (node === undefined || !isNodeId(node) || !Number.isSafeInteger(incarnation)) return undefined;
  // Without address records the sender of the packet is the best guess (it is also the one that surely got here).
  const addresses = (hosts.length === 0 ? [fromAddress] : hosts.slice(0, ADDRESSES_MAX)).filter(isUsable);
  const invitation = keys.get("join");
  return {
    node,
    mesh: keys.get("mesh") ?? "",
    incarnation: incarnation as Incarnation,
    cluster: keys.get("cluster"),
    invitation: invitation === "open" || invitation === "closed" ? invitation : undefined,
    addresses: addresses.map((host) => joinAddress(host, srv.port)),
    isLeaving: srv.ttlSeconds === 0,
  };
}

/** Link-local IPv6 addresses mean nothing without their interface. */
function isUsable(address: string): boolean {
  return address !== "" && !address.toLowerCase().startsWith("fe80:");
}

/** DNS names compare without regard to case; a trailing dot is the same name. */
export function sameName(a: string, b: string): boolean {
  return plain(a) === plain(b);
}

function plain(name: string): string {
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
}
