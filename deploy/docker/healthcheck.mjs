/**
 * Docker's HEALTHCHECK: exit code 0 when the node's own /healthz answers with 2xx, else 1.
 *
 * Written with `fetch` because a slim image has neither curl nor wget. The port follows SKEIN_HTTP, so that an
 * operator who moves the status port does not get an "unhealthy" container.
 */

const port = /:(\d+)$/.exec(process.env.SKEIN_HTTP ?? "")?.[1] ?? "7880";
try {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(2500) });
  process.exitCode = response.ok ? 0 : 1;
} catch {
  // Nobody listens, or the event loop is stuck: for Docker that is the same answer.
  process.exitCode = 1;
}
