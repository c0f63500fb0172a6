import { expect, test } from "vitest";
import { printable } from "../src/cli/printable.ts";

test("printable() shows control characters instead of sending them to the terminal", () => {
  expect(printable("\u001b]0;owned\u0007\r\u009b2J")).toBe("\\x1b]0;owned\\x07\\x0d\\x9b2J");
  expect(printable("21.5 °C\n\tkitchen 🦢")).toBe("21.5 °C\n\tkitchen 🦢");
});
