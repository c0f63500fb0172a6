/** MQTT from the shell: `pub` and `sub`, with the letters of mosquitto's clients. */

import type { Command } from "commander";
import type { SetExitCode } from "./command-group.ts";

export function addMqttCommands(program: Command, setExitCode: SetExitCode): void {
  addPublish(program, setExitCode);
  addSubscribe(program, setExitCode);
}

/** The letters are mosquitto's; `-h` is the host, as there. */
function withConnection(command: Command): Command {
  return command
    .helpOption("--help", "print this help")
    .option("-h, --host <HOST>", "broker", "localhost")
    .option("-p, --port <PORT>", "its port (default: 1883, with TLS 8883)")
    .option("-q, --qos <QOS>", "quality of service: 0, 1 or 2", "0")
    .option("-i, --id <ID>", "client id (default: a random one)")
    .option("-V, --protocol <VERSION>", "mqttv31, mqttv311 or mqttv5", "mqttv311")
    .option("-u, --username <NAME>", "user name")
    .option("-P, --pw <PASSWORD>", "password")
    .option("--cafile <FILE>", "use TLS; the broker's certificate must be signed by this authority")
    .option("--cert <FILE>", "use TLS, and show this certificate")
    .option("--key <FILE>", "its private key (default: in the same file)")
    .option("--insecure", "do not compare the name in the broker's certificate")
    .option("--unix <PATH>", "connect to this Unix socket");
}

function addPublish(program: Command, setExitCode: SetExitCode): void {
  withConnection(program.command("pub").description("publish one message"))
    .requiredOption("-t, --topic <TOPIC>", "topic to publish to")
    .option("-m, --message <TEXT>", "the message")
    .option("-n, --null-message", "an empty message; with -r it deletes the retained one")
    .option("-r, --retain", "keep it for later subscribers")
    .addHelpText(
      "after",
      "\nExamples:\n  skein pub -t home/lamp -m on\n  skein pub -p 1884 -q 1 -r -t home/lamp -m on" +
        "\n  skein pub -h pi1.local --cafile ca.pem -t home/lamp -m on",
    )
    .action(async (options) => {
      const { publish } = await import("../publish.ts");
      setExitCode(await publish(options));
    });
}

function addSubscribe(program: Command, setExitCode: SetExitCode): void {
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
      const { subscribe } = await import("../subscribe.ts");
      setExitCode(await subscribe(options));
    });
}
