/**
 * The command line: which commands exist, what they take and how wrong usage is explained.
 *
 * Each command's code is imported when it runs, so that `skein --help` needs nothing but commander. Whatever goes wrong
 * with the usage becomes one sentence and exit code 2.
 */

import { Command, CommanderError, Option } from "commander";
import { SETTING_NAMES, SETTINGS, type SettingName } from "../config/settings.ts";
import { EXIT_OK, EXIT_USAGE } from "./exit-codes.ts";
import { VERSION } from "./version.ts";

const EXIT_CODES_HELP = `
Exit codes: 0 ok, 1 failure, 2 wrong usage, 3 not reachable, 4 degraded`;

/** Runs one command line (without program and script name). Returns the exit code. @throws {SkeinError} what the command throws */
export async function runProgram(args: readonly string[]): Promise<number> {
  let exitCode = EXIT_OK;
  const program = buildProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help that was asked for is no mistake; help shown because the command was missing is one.
    return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  }
  return exitCode;
}

function buildProgram(setExitCode: (code: number) => void): Command {
  const program = new Command("skein");
  program
    .description(
      "A self-organizing mesh of MQTT brokers: several small computers, one address, nothing lost.",
    )
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageSentence(text)) })
    .addHelpText(
      "after",
      `\nExamples:\n  skein demo\n  skein up --allow-anonymous\n  skein status${"\n"}${EXIT_CODES_HELP}`,
    );
  addUp(program, setExitCode);
  addDemo(program, setExitCode);
  addQueries(program, setExitCode);
  addPublish(program, setExitCode);
  addSubscribe(program, setExitCode);
  program
    .command("version")
    .description("print the version")
    .action(() => {
      process.stdout.write(`${VERSION}\n`);
    });
  return program;
}

function addUp(program: Command, setExitCode: (code: number) => void): void {
  const command = program.command("up").description("run a node").allowExcessArguments(false);
  for (const setting of SETTING_NAMES) {
    const { placeholder, isList, description } = SETTINGS[setting];
    const flags = placeholder === undefined ? `--${setting}` : `--${setting} <${placeholder}>`;
    const option = new Option(flags, description);
    if (isList)
      option.argParser((value: string, all: readonly string[] | undefined) => [...(all ?? []), value]);
    command.addOption(option);
  }
  command
    .addHelpText(
      "after",
      `
Each option can also be set in the environment (--data-dir: SKEIN_DATA_DIR; lists separated by commas) and in skein.yaml
(data-dir: PATH). Flags win over the environment, the environment over the file.

Examples:
  skein up                                  the first node, for programs on this machine
  skein up --allow-anonymous                the same, for the whole network
  skein up --allow-anonymous --mesh-key @mesh.key
                                            another node of the mesh whose key is in mesh.key
  skein up --allow-anonymous --vip 192.168.1.250%eth0
                                            with an address that always answers`,
    )
    .action(async () => {
      const { up } = await import("./up.ts");
      setExitCode(await up(givenFlags(command)));
    });
}

/** Only what was typed; commander itself invents a default for `--no-...`. */
function givenFlags(command: Command): Partial<Record<SettingName, unknown>> {
  const flags: Partial<Record<SettingName, unknown>> = {};
  for (const setting of SETTING_NAMES) {
    const isNegation = setting.startsWith("no-");
    const key = camelCase(isNegation ? setting.slice(3) : setting);
    if (command.getOptionValueSource(key) !== "cli") continue;
    flags[setting] = isNegation ? true : command.getOptionValue(key);
  }
  return flags;
}

function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function addDemo(program: Command, setExitCode: (code: number) => void): void {
  program
    .command("demo")
    .description("run a mesh of several nodes on this machine, to try it out")
    .option("--nodes <N>", "number of nodes, 1 to 9", "3")
    .option("--port <BASE>", "port of the first node; the others follow", "1883")
    .addHelpText("after", "\nExamples:\n  skein demo\n  skein demo --nodes 5 --port 2883")
    .action(async (options) => {
      const { demo } = await import("../demo/demo.ts");
      setExitCode(await demo(options));
    });
}

function addQueries(program: Command, setExitCode: (code: number) => void): void {
  const query = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option("--http <HOST:PORT>", "node to ask (default: SKEIN_HTTP or 127.0.0.1:7880)")
      .option("--json", "print JSON");
  query("status", "say how the mesh is")
    .addHelpText(
      "after",
      `\nExamples:\n  skein status\n  skein status --json --http 192.168.1.21:7880\n${EXIT_CODES_HELP}`,
    )
    .action(async (options) => {
      const { status } = await import("./status.ts");
      setExitCode(await status(options));
    });
  query("members", "list the nodes of the mesh")
    .addHelpText("after", "\nExample:\n  skein members")
    .action(async (options) => {
      const { members } = await import("./status.ts");
      setExitCode(await members(options));
    });
  query("retained", "count the retained messages of the mesh, with a digest to compare nodes")
    .option("--entries", "list topics and payloads too")
    .addHelpText("after", "\nExamples:\n  skein retained\n  skein retained --entries")
    .action(async (options) => {
      const { retained } = await import("./status.ts");
      setExitCode(await retained(options));
    });
}

/** The letters are mosquitto's; `-h` is the host, as there. */
function withConnection(command: Command): Command {
  return command
    .helpOption("--help", "print this help")
    .option("-h, --host <HOST>", "broker", "localhost")
    .option("-p, --port <PORT>", "its port", "1883")
    .option("-q, --qos <QOS>", "quality of service: 0, 1 or 2", "0")
    .option("-i, --id <ID>", "client id (default: a random one)")
    .option("-V, --protocol <VERSION>", "mqttv31, mqttv311 or mqttv5", "mqttv311")
    .option("-u, --username <NAME>", "user name")
    .option("-P, --pw <PASSWORD>", "password");
}

function addPublish(program: Command, setExitCode: (code: number) => void): void {
  withConnection(program.command("pub").description("publish one message"))
    .requiredOption("-t, --topic <TOPIC>", "topic to publish to")
    .option("-m, --message <TEXT>", "the message")
    .option("-n, --null-message", "an empty message; with -r it deletes the retained one")
    .option("-r, --retain", "keep it for later subscribers")
    .addHelpText(
      "after",
      "\nExamples:\n  skein pub -t home/lamp -m on\n  skein pub -p 1884 -q 1 -r -t home/lamp -m on",
    )
    .action(async (options) => {
      const { publish } = await import("./publish.ts");
      setExitCode(await publish(options));
    });
}

function addSubscribe(program: Command, setExitCode: (code: number) => void): void {
  withConnection(program.command("sub").description("print messages as they come"))
    .requiredOption(
      "-t, --topic <FILTER>",
      "topic filter; may be repeated",
      (value: string, all: string[] | undefined) => [...(all ?? []), value],
    )
    .option("-C, --count <N>", "stop after N messages")
    .option("-W, --timeout <SECONDS>", "stop after this time, with exit code 1")
    .option("-v, --verbose", "print topics too")
    .option("--json", "print one JSON document for each message")
    .addHelpText(
      "after",
      "\nExamples:\n  skein sub -t 'home/#' -v\n  skein sub -p 1884 -t home/lamp -C 1 -W 5",
    )
    .action(async (options) => {
      const { subscribe } = await import("./subscribe.ts");
      setExitCode(await subscribe(options));
    });
}

/** `error: unknown option '--lisen'\n(Did you mean --listen?)` -> one sentence. */
function usageSentence(text: string): string {
  const [problem = "", ...hints] = text.trim().split("\n");
  const sentence = problem.replace(/^error: /, "").replace(/\.$/, "");
  const hint = hints.join(" ").replace(/^\((.*)\)$/, "$1");
  return `skein: ${sentence[0]?.toUpperCase() ?? ""}${sentence.slice(1)}. ${hint === "" ? "See: skein --help" : hint}\n`;
}
