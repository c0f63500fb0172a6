/**
 * The text of docker-compose.yml: many nodes on one bridge network with one floating address.
 *
 * Twenty services that differ in a number are written by a program, and a test holds the file to it. Valid for docker-compose
 * v1 and docker compose v2: anchors, a bridge network, named volumes, nothing newer.
 */

/** Nodes in the committed file. */
export const NODES = 20;

export function composeFile(nodes: number): string {
  const names = Array.from({ length: nodes }, (_, at) => `skein-${String(at + 1).padStart(2, "0")}`);
  const services = names.map(
    (name) => `  ${name}:\n    <<: *node\n    hostname: ${name}\n    volumes: ["${name}:/var/lib/skein"]\n`,
  );
  const volumes = names.map((name) => `  ${name}:\n`);
  return `# Written by write-compose-file.ts: ${nodes} nodes on one bridge network with one floating address, 10.84.0.200.
# The nodes are alike and know nothing of each other but the mesh key: they meet over mDNS. README.md has the two commands.
version: "2.4"

x-node: &node
  image: \${SKEIN_IMAGE:-skein:local}
  restart: unless-stopped
  cap_drop: [ALL]
  cap_add: [NET_ADMIN, NET_RAW]
  networks: [mesh]
  environment:
    SKEIN_MESH_KEY: \${SKEIN_MESH_KEY:?set it to 64 hex digits, for example from openssl rand -hex 32}
    SKEIN_VIP: 10.84.0.200%eth0
    SKEIN_ALLOW_ANONYMOUS: "true"
  # The check of the image is a Node program every ten seconds, which takes as much of the processor as an idle node does.
  healthcheck: { disable: true }

services:
${services.join("")}
networks:
  mesh:
    driver: bridge
    ipam:
      config:
        # Docker hands out the lower half only, so it never gives the floating address to a container.
        - subnet: 10.84.0.0/24
          ip_range: 10.84.0.0/25

volumes:
${volumes.join("")}`;
}
