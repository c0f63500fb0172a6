import { Broker, DEFAULT_BROKER_OPTIONS, loneNodePorts } from "@skein/broker";
import { seededPrng } from "@skein/kernel";
import { listenTcp, systemClock } from "@skein/platform";

const clock = systemClock();
const ports = loneNodePorts({ clock, prng: seededPrng(Date.now()), log: console }, () => broker);
const broker: Broker = new Broker(DEFAULT_BROKER_OPTIONS, ports);
setInterval(() => broker.tick(clock.monotonicMs()), 250); // keep-alive, wills, expiry
listenTcp({
  host: "127.0.0.1",
  port: Number(process.argv[2] ?? 1883),
  accepted: (stream) => broker.accept(stream, { name: "tcp", allowAnonymous: true }),
  ready: (result) => process.stdout.write(result instanceof Error ? result.message : "ready\n"),
});
