export { type RunningNode, startNode } from "./compose.ts";
export type { ListenerConfig } from "./config/listener-config.ts";
export { type ConfigSources, loadConfig, type NodeConfig } from "./config/load-config.ts";
export type { Health, MemberStatus, NodeStatus } from "./node-status.ts";
export { type NodeLog, openLog } from "./pino-log.ts";
