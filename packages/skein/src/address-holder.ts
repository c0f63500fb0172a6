/** Who holds the floating address: each node says so of itself, and of two that do the coordinator is believed. */

import type { Member } from "@skein/mesh";

export function addressHolder(input: {
  readonly node: string;
  readonly isHeld: boolean;
  readonly coordinator: string | undefined;
  readonly members: readonly Member[];
}): string | undefined {
  if (input.isHeld) return input.node;
  const holders = input.members.filter((member) => {
    return member.id !== input.node && member.holdsAddress && member.state === "alive";
  });
  const holder = holders.find((member) => member.id === input.coordinator) ?? holders[0];
  return holder?.id;
}
