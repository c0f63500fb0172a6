/**
 * Node's HTTP server without the rest of `node:http`.
 *
 * An `import` from a built-in module reads every name that it exports, and one of those of `node:http` is the WebSocket client: its
 * first use loads fetch and all that belongs to it, 13 MB of resident memory that a broker never needs. `getBuiltinModule` hands out the
 * module as it is, and what nobody reads is not loaded.
 */

export const { createServer: createHttpServer } = process.getBuiltinModule("node:http");
