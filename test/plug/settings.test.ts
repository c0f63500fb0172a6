import { expect, test } from "vitest";
import { settingsFrom, UsageError } from "./settings.ts";

test("without options: three containers that are struck every 15 s, 500 messages a second of 70 publishers, five minutes", () => {
  expect(settingsFrom([])).toMatchObject({
    brokers: [],
    fault: "docker",
    nodes: 3,
    faultEverySeconds: 15,
    seconds: 300,
    rate: 500,
    publishersQos1: 50,
    publishersQos2: 20,
    subscribers: 30,
    sharers: 3,
  });
});

test("brokers that are given are left alone unless a command is given, too", () => {
  const brokers = ["--brokers", "a:1883,[::1]:1884"];
  expect(settingsFrom(brokers)).toMatchObject({ brokers: ["a:1883", "[::1]:1884"], fault: "none" });
  expect(settingsFrom([...brokers, "--fault", "command", "--command", "./strike"])).toMatchObject({
    fault: "command",
    command: "./strike",
  });
});

test("processes are killed and frozen: they have no cable", () => {
  expect(settingsFrom(["--fault", "processes"])).toMatchObject({ faultKinds: ["kill", "pause"] });
});

test("--help gives no settings", () => {
  expect(settingsFrom(["--help"])).toBeUndefined();
});

test.each([
  [["--rate", "many"]],
  [["--seconds", "0"]],
  [["--brokers", "a"]],
  [["--fault", "fire"]],
  [["--fault", "command"]],
  [["--brokers", "a:1", "--fault", "docker"]],
  [["--fault-kinds", "kill,burn"]],
  [["--fault", "processes", "--fault-kinds", "disconnect"]],
  [["--subscribers", "2", "--fan-out", "3"]],
  [["--unknown"]],
])("%j is wrong use", (args) => {
  expect(() => settingsFrom(args)).toThrow(UsageError);
});
