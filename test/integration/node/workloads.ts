/** Programs that keep state which a checkpoint must not lose, each with a way to look at that state. */
import { nodeServer, watcher } from "./workloads/node.js";
import { appendLog, connection, deletedFile, lagging, threads } from "./workloads/python.js";
import { files, pipeline, stoppedJob, terminal } from "./workloads/shell.js";
import type { Workload } from "./workloads/workload.js";

export type { Facts, Workload } from "./workloads/workload.js";

export const workloads: readonly Workload[] = [
  threads,
  nodeServer,
  watcher,
  pipeline,
  deletedFile,
  connection,
  lagging,
  terminal,
  stoppedJob,
  appendLog,
  files,
];
