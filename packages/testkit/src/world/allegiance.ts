/** Which mesh a node of a simulated network belongs to: those of one name and one key are one mesh. */

export interface Allegiance {
  readonly mesh: string;
  readonly key: string;
}

/** The mesh that is judged. */
export const HOME: Allegiance = { mesh: "home", key: "the key of home" };

/** Meshes next door that have the same name, the same key, or neither: each of one node, because no two of them agree in both. */
export const OTHER_MESHES: readonly Allegiance[] = [
  { mesh: HOME.mesh, key: "another key" },
  { mesh: "next door", key: HOME.key },
  { mesh: "next door", key: "another key" },
];
