/**
 * Options of the agent. Each has a default, a key in the TOML file, an environment variable and a flag, all
 * named alike: `containerd.address`, RAMET_CONTAINERD_ADDRESS, --containerd-address.
 */
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type LogLevel, logLevels } from "../lib/log.js";

// What a unix socket's address holds, without its NUL (sun_path, unix(7)).
const socketPathMax = 107;

const path = z.string().regex(/^\/[^\0]*$/, "must be an absolute path");
const socketPath = path.max(socketPathMax, `must be at most ${socketPathMax} characters, as for any socket`);

/** What the file may hold. Optional keys have defaults that follow from others; see resolveConfig. */
export const fileSchema = z.strictObject({
  data_dir: path
    .default("/var/lib/ramet")
    .describe("Database, checkpoints, sandboxes' directories. Must not be mounted noexec."),
  run_dir: path.default("/run/ramet").describe("Sockets and what a reboot may forget."),
  prefix: path.default("/opt/ramet").describe("Where bin/runc and bin/criu are."),
  socket: socketPath.optional().describe("The agent's API. Default: agent.sock in run_dir."),
  log_level: z
    .enum(logLevels)
    .default("info")
    .describe(`One of ${logLevels.join(", ")}.`),
  containerd: z
    .strictObject({
      address: socketPath.optional().describe("Default: containerd/containerd.sock in run_dir."),
      namespace: z
        .string()
        .regex(/^[a-z0-9]+(?:[-._][a-z0-9]+)*$/, "must be a name of a-z, 0-9, '-', '.' and '_'")
        .default("ramet")
        .describe("containerd's namespace that holds all that is the agent's."),
      state_dir: path.optional().describe("containerd's state. Default: containerd in run_dir."),
    })
    .prefault({}),
  restore: z
    .strictObject({
      parallelism: z
        .int()
        .min(1)
        .max(1024)
        .optional()
        .describe("Restores at once, over all sandboxes. Default: twice the number of cores."),
    })
    .prefault({}),
  shim: z
    .strictObject({
      sandboxes: z
        .int()
        .min(1)
        .max(256)
        .default(16)
        .describe("Sandboxes that share a shim, at most: they end with it when it dies. 1: each its own."),
    })
    .prefault({}),
  slots: z
    .strictObject({
      memory_mib: z
        .int()
        .min(0)
        .max(1_000_000_000)
        .optional()
        .describe(
          "Memory that warm slots may take, in MiB, without what they share. Default: a quarter of the machine's.",
        ),
    })
    .prefault({}),
  memory: z
    .strictObject({
      sharing: z
        .enum(["on", "off"])
        .default("on")
        .describe(
          "on: sandboxes from one checkpoint share its memory. off: each restore reads its own copy.",
        ),
      memoryd_socket: socketPath
        .optional()
        .describe("Of a memoryd that something else runs, as systemd does. Default: the agent starts one."),
    })
    .prefault({}),
  limits: z
    .strictObject({
      operations_waiting_max: z
        .int()
        .min(1)
        .max(100_000)
        .default(100)
        .describe("Operations that may wait for one sandbox; more are refused."),
    })
    .prefault({}),
  host: z
    .strictObject({
      limits: z
        .enum(["raise", "keep"])
        .default("raise")
        .describe("raise: at the start, sysctls that would fail the restore of many sandboxes. keep: none."),
    })
    .prefault({}),
  user_namespace: z
    .strictObject({
      base: z
        .int()
        .min(65_536)
        .max(4_294_000_000)
        .default(100_000)
        .describe("Host uid and gid of root in the sandboxes. Checkpoints keep theirs."),
      size: z.int().min(65_536).max(1_000_000).default(65_536).describe("How many ids a sandbox has."),
    })
    .prefault({}),
});

export type ConfigFile = z.output<typeof fileSchema>;

/** Nothing is optional any more. */
export interface AgentConfig {
  readonly dataDir: string;
  readonly runDir: string;
  readonly prefix: string;
  readonly socket: string;
  readonly logLevel: LogLevel;
  readonly containerd: { readonly address: string; readonly namespace: string; readonly stateDir: string };
  readonly restoreParallelism: number;
  readonly sandboxesPerShim: number;
  readonly slotMemoryBytes: number;
  readonly memory: { readonly sharing: "on" | "off"; readonly memorydSocket?: string };
  readonly operationsWaitingMax: number;
  readonly hostLimits: "raise" | "keep";
  readonly ids: { readonly base: number; readonly size: number };
  /** From RAMET_FAILPOINTS alone; empty but in tests of crashes. */
  readonly failpoints: string;
}

export function resolveConfig(
  file: ConfigFile,
  { failpoints }: { readonly failpoints: string },
): AgentConfig {
  const { containerd, restore, shim, slots, memory, limits, host, user_namespace: ids } = file;
  const inRunDir = (name: string) => join(file.run_dir, name);
  return {
    dataDir: file.data_dir,
    runDir: file.run_dir,
    prefix: file.prefix,
    socket: file.socket ?? inRunDir("agent.sock"),
    logLevel: file.log_level,
    containerd: {
      address: containerd.address ?? inRunDir("containerd/containerd.sock"),
      namespace: containerd.namespace,
      stateDir: containerd.state_dir ?? inRunDir("containerd"),
    },
    restoreParallelism: restore.parallelism ?? 2 * availableParallelism(),
    sandboxesPerShim: shim.sandboxes,
    slotMemoryBytes: slots.memory_mib === undefined ? Math.floor(totalmem() / 4) : slots.memory_mib * 2 ** 20,
    memory: {
      sharing: memory.sharing,
      ...(memory.memoryd_socket === undefined ? {} : { memorydSocket: memory.memoryd_socket }),
    },
    operationsWaitingMax: limits.operations_waiting_max,
    hostLimits: host.limits,
    ids: { base: ids.base, size: ids.size },
    failpoints,
  };
}

export interface Option {
  /** In the file, e.g. `containerd.address`. */
  readonly key: string;
  readonly environment: string;
  /** Without the leading dashes. */
  readonly flag: string;
  readonly description: string;
  readonly isNumber: boolean;
}

/** All options, in the order of the schema. */
export function listOptions(): Option[] {
  return Object.entries(fileSchema.shape).flatMap(([name, field]) =>
    field instanceof z.ZodPrefault
      ? Object.entries(field.unwrap().shape).map(([inner, leaf]) => optionOf(`${name}.${inner}`, leaf))
      : [optionOf(name, field)],
  );
}

function optionOf(key: string, field: z.ZodType): Option {
  const words = key.replaceAll(".", "_");
  return {
    key,
    environment: `RAMET_${words.toUpperCase()}`,
    flag: words.replaceAll("_", "-"),
    description: field.description ?? "",
    isNumber: field.safeParse(1_000_000_000_000).error?.issues[0]?.code === "too_big",
  };
}
