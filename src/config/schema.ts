/** Options of the agent. */
import { availableParallelism, hostname, totalmem } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type Address, formatAddress, isWildcard, readAddress } from "../lib/address.js";
import { DomainError } from "../lib/errors.js";
import { isName } from "../lib/ids.js";
import { type LogLevel, logLevels } from "../lib/log.js";
import { absolutePath, addressText } from "./fields.js";
import type { Program } from "./options.js";

// What a unix socket's address holds, without its NUL (sun_path, unix(7)).
const socketPathMax = 107;

const socketPath = absolutePath.max(
  socketPathMax,
  `must be at most ${socketPathMax} characters, as for any socket`,
);

/** What the file may hold. Optional keys have defaults that follow from others; see resolveConfig. */
export const fileSchema = z.strictObject({
  data_dir: absolutePath
    .default("/var/lib/ramet")
    .describe("Database, checkpoints, sandboxes' directories. Must not be mounted noexec."),
  run_dir: absolutePath.default("/run/ramet").describe("Sockets and what a reboot may forget."),
  prefix: absolutePath.default("/opt/ramet").describe("Where bin/runc and bin/criu are."),
  socket: socketPath.optional().describe("The agent's API. Default: agent.sock in run_dir."),
  log_level: z
    .enum(logLevels)
    .default("info")
    .describe(`One of ${logLevels.join(", ")}.`),
  join: addressText
    .optional()
    .describe("Registry to be a node of, HOST:PORT. Default: none; nothing but the socket is served then."),
  token_file: absolutePath
    .or(z.literal("-"))
    .optional()
    .describe("Has the token of the first join; -: standard input. Or RAMET_JOIN_TOKEN, which wins."),
  name: z
    .string()
    .refine(isName, "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', a letter or digit first")
    .optional()
    .describe("Of the node, for people. Default: the host name."),
  listen: addressText
    .default("127.0.0.1:7072")
    .describe("Where the registry, and nobody else, is served once joined, by mutual TLS."),
  address: addressText
    .optional()
    .describe("HOST:PORT at which the registry reaches that. Default: as listen."),
  containerd: z
    .strictObject({
      address: socketPath.optional().describe("Default: containerd/containerd.sock in run_dir."),
      namespace: z
        .string()
        .regex(/^[a-z0-9]+(?:[-._][a-z0-9]+)*$/, "must be a name of a-z, 0-9, '-', '.' and '_'")
        .default("ramet")
        .describe("containerd's namespace that holds all that is the agent's."),
      state_dir: absolutePath.optional().describe("containerd's state. Default: containerd in run_dir."),
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
        .describe("raise: at the start, sysctls that would fail the start of many sandboxes. keep: none."),
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

export interface MembershipConfig {
  readonly registry: Address;
  readonly name: string;
  readonly listen: Address;
  /** `host:port` */
  readonly address: string;
  /** `-` is standard input. */
  readonly tokenFile?: string;
  /** From RAMET_JOIN_TOKEN alone. */
  readonly token?: string;
}

/** Nothing is optional any more. */
export interface AgentConfig {
  /** Absent: the agent is on its own. */
  readonly membership?: MembershipConfig;
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

/** What comes from the environment and has no place in a file. */
export interface Unwritten {
  readonly failpoints: string;
  readonly joinToken?: string;
}

export function resolveConfig(file: ConfigFile, { failpoints, joinToken }: Unwritten): AgentConfig {
  const { containerd, restore, shim, slots, memory, limits, host, user_namespace: ids } = file;
  const inRunDir = (name: string) => join(file.run_dir, name);
  return {
    dataDir: file.data_dir,
    runDir: file.run_dir,
    prefix: file.prefix,
    socket: file.socket ?? inRunDir("agent.sock"),
    logLevel: file.log_level,
    ...(file.join === undefined ? {} : { membership: resolveMembership(file, file.join, joinToken) }),
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

function resolveMembership(file: ConfigFile, join: string, token: string | undefined): MembershipConfig {
  const listen = addressOf(file.listen);
  if (file.address === undefined && isWildcard(listen.host))
    throw new DomainError("invalid_argument", `bad configuration: ${file.listen} is no place to call`, {
      hint: "name with `address` (--address HOST:PORT) where the registry reaches this agent",
    });
  return {
    registry: addressOf(join),
    name: file.name ?? nameOfHost(hostname()),
    listen,
    address: file.address ?? formatAddress(listen),
    ...(file.token_file === undefined ? {} : { tokenFile: file.token_file }),
    ...(token === undefined ? {} : { token }),
  };
}

// The schema has checked it.
const addressOf = (text: string): Address => readAddress(text) ?? { host: "", port: 0 };

/** Of what is no name, as much as may be one. */
export function nameOfHost(host: string): string {
  const name = host
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]/g, "-")
    .replace(/^[._-]+/, "")
    .slice(0, 63);
  return isName(name) ? name : "node";
}

export const agentProgram: Program = {
  command: "rametd agent",
  schema: fileSchema,
  prefix: "RAMET_",
  path: "/etc/ramet/agent.toml",
};
