/** Commands that run nodes: `up` and `demo`. */

import { holdYoungGeneration } from "@skein/platform/young-generation";
import { type Command, Option } from "commander";
import { SETTING_NAMES, SETTINGS, type SettingName } from "../../config/settings.ts";
import type { SetExitCode } from "./command-group.ts";

export function addRunCommands(program: Command, setExitCode: SetExitCode): void {
  addUp(program, setExitCode);
  addDemo(program, setExitCode);
}

function addUp(program: Command, setExitCode: SetExitCode): void {
  const command = program.command("up").description("run a node").allowExcessArguments(false);
  for (const setting of SETTING_NAMES) {
    const { placeholder, isList, description } = SETTINGS[setting];
    const flags = placeholder === undefined ? `--${setting}` : `--${setting} <${placeholder}>`;
    const option = new Option(flags, description);
    if (isList)
      option.argParser((value: string, all: readonly string[] | undefined) => [...(all ?? []), value]);
    command.addOption(option);
  }
  command.option("--join <CODE>", "join a mesh with a code that skein invite made on one of its nodes");
  command
    .addHelpText(
      "after",
      `
Each option can also be set in the environment (--data-dir: SKEIN_DATA_DIR; lists separated by commas) and in skein.yaml
(data-dir: PATH). Flags win over the environment, the environment over the file.

Listeners: mqtt:// (port 1883), mqtts:// (8883), ws:// (8083), wss:// (8084), unix:///PATH. Options of one listener follow its URL:
  ?anonymous=true  &max-clients=N  &proxy=on  &cert=FILE  &key=FILE  &client-ca=FILE  &identity=cn|san  &mode=660
SIGHUP reads certificates again.

Examples:
  skein up                                  the first node, for programs on this machine
  skein up --allow-anonymous                the same, for the whole network
  skein up --listen mqtt://127.0.0.1 --listen 'mqtts://:8883?client-ca=ca.pem' --tls-cert pi.pem --tls-key pi.key
                                            with certificates for devices on the network
  skein up --join CODE                      another node of a mesh; CODE: from skein invite on one of its nodes
  skein up --join CODE --peer 192.168.1.21
                                            the same, where the network hides that node
  skein up --allow-anonymous --vip 192.168.1.250%eth0
                                            with an address that always answers`,
    )
    .action(async () => {
      holdYoungGeneration();
      const { up } = await import("../up.ts");
      setExitCode(await up(givenFlags(command), command.opts<{ join?: string }>().join));
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

function addDemo(program: Command, setExitCode: SetExitCode): void {
  program
    .command("demo")
    .description("run a mesh of several nodes on this machine, to try it out")
    .option("--nodes <N>", "number of nodes, 1 to 9", "3")
    .option("--port <BASE>", "port of the first node; the others follow", "1883")
    .addHelpText("after", "\nExamples:\n  skein demo\n  skein demo --nodes 5 --port 2883")
    .action(async (options) => {
      const { demo } = await import("../../demo/demo.ts");
      setExitCode(await demo(options));
    });
}
