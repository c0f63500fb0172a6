/** How the operating system asks a process to stop: SIGINT, SIGTERM or SIGHUP once politely; the second time at once. */

/** Exit code of a process that was stopped in the middle of stopping. */
const EXIT_IMPATIENT = 130;

/**
 * Resolves with the first signal. From then on a second one ends the process without further ado, because whoever asks
 * twice does not want to wait.
 */
export function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isStopping = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (isStopping) process.exit(EXIT_IMPATIENT);
      isStopping = true;
      resolve(signal);
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
    process.on("SIGHUP", stop);
  });
}
