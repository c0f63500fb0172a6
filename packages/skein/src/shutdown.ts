/** How the operating system asks a process to stop: SIGINT, SIGTERM or SIGHUP once politely; the second time at once. */

import { isatty } from "node:tty";

/** Exit code of a process that was stopped in the middle of stopping. */
const EXIT_IMPATIENT = 130;
const STANDARD_OUTPUT = 1;

/**
 * Resolves with the first signal. From then on a second one ends the process without further ado, because whoever asks
 * twice does not want to wait.
 *
 * With `reload`, SIGHUP asks for that instead, as services are used to; unless it says that the terminal has been closed.
 */
export function stopSignal(reload?: () => void): Promise<NodeJS.Signals> {
  const hadTerminal = isatty(STANDARD_OUTPUT);
  return new Promise((resolve) => {
    let isStopping = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (isStopping) process.exit(EXIT_IMPATIENT);
      isStopping = true;
      resolve(signal);
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
    process.on("SIGHUP", (signal) => {
      // A terminal that was closed is none any more.
      const hasLostTerminal = hadTerminal && !isatty(STANDARD_OUTPUT);
      if (reload === undefined || hasLostTerminal) stop(signal);
      else reload();
    });
  });
}
