/** Bugs planted in who is kept out of the mesh. Keys are compared by the operating system's TLS, and here by the simulated network. */

import type { Mutant } from "./mutate.ts";

const scenario = "foreign";
const load = "writes";

export const FOREIGN_MUTANTS: readonly Mutant[] = [
  {
    name: "a peer of another mesh is let in, because it has the key",
    breaks: "P10: two meshes with one key become one",
    file: "packages/mesh/src/link/handshake.ts",
    search: "if (hello.mesh !== own.mesh) {",
    replacement: 'if (hello.mesh === "") {',
    scenario,
    load,
  },
  {
    name: "who is refused is listed all the same",
    breaks: "P10: a node of another mesh is a member",
    file: "packages/mesh/src/link/link-set.ts",
    search: "      this.#owner.refused(link, refusal);\n",
    replacement: "      this.#owner.refused(link, refusal);\n      this.#owner.greeted(link, hello);\n",
    scenario,
    load,
  },
];
