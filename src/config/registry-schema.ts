/** Options of the registry, named as the agent's are: `nodes.listen`, RAMET_REGISTRY_NODES_LISTEN, --nodes-listen. */
import { z } from "zod";
import { type Address, formatAddress, isLoopback, readAddress } from "../lib/address.js";
import { DomainError } from "../lib/errors.js";
import { type LogLevel, logLevels } from "../lib/log.js";
import { absolutePath, addressText } from "./fields.js";
import type { Program } from "./options.js";

export const registryFileSchema = z.strictObject({
  data_dir: absolutePath.default("/var/lib/ramet-registry").describe("Database, authority, keys; mode 0700."),
  listen: addressText
    .default("127.0.0.1:7070")
    .describe("REST: E2B's API, the admin API and the page. Plain HTTP unless tls is set."),
  keys: z
    .enum(["on", "off"])
    .default("on")
    .describe("on: each request needs a key. off: everybody is one team, and only this machine is served."),
  log_level: z
    .enum(logLevels)
    .default("info")
    .describe(`One of ${logLevels.join(", ")}.`),
  api: z
    .strictObject({
      listen: addressText
        .or(z.literal("off"))
        .default("127.0.0.1:0")
        .describe(
          "gRPC: the nodes' API over all nodes, for `ramet --registry`, which learns the port from GET /. " +
            "Port 0: a free one. off: none. By TLS where tls is set.",
        ),
    })
    .prefault({}),
  tls: z
    .strictObject({
      certificate: absolutePath
        .optional()
        .describe(
          "PEM, for REST: the chain, its own certificate first. Once renewed, it is taken within 10 s.",
        ),
      key: absolutePath.optional().describe("PEM, of that certificate."),
    })
    .prefault({}),
  nodes: z
    .strictObject({
      listen: addressText
        .default("127.0.0.1:7071")
        .describe("Where nodes join and report, by TLS with the registry's own authority."),
      lost_after_s: z
        .int()
        .min(10)
        .max(86_400)
        .default(300)
        .describe("A node that is silent for longer is lost, and its sandboxes are shown as lost."),
    })
    .prefault({}),
});

export interface RegistryConfig {
  readonly dataDir: string;
  readonly listen: Address;
  readonly keys: "on" | "off";
  readonly logLevel: LogLevel;
  /** Paths of PEM files. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Absent: it is not served. */
  readonly api?: { readonly listen: Address };
  readonly nodes: { readonly listen: Address; readonly lostAfterMs: number };
}

export function resolveRegistryConfig(file: z.output<typeof registryFileSchema>): RegistryConfig {
  const { certificate, key } = file.tls;
  const listen = addressOf(file.listen);
  const api = file.api.listen === "off" ? undefined : { listen: addressOf(file.api.listen) };
  const open = [listen, ...(api === undefined ? [] : [api.listen])].find(({ host }) => !isLoopback(host));
  if (file.keys === "off" && open !== undefined)
    throw new DomainError(
      "invalid_argument",
      `bad configuration: without keys, ${formatAddress(open)} is refused`,
      {
        hint: "without keys everybody who reaches it may do everything: listen on 127.0.0.1, or set keys to on",
      },
    );
  if ((certificate === undefined) !== (key === undefined))
    throw new DomainError("invalid_argument", "bad configuration: tls.certificate and tls.key go together");
  return {
    dataDir: file.data_dir,
    listen,
    keys: file.keys,
    logLevel: file.log_level,
    ...(api === undefined ? {} : { api }),
    ...(certificate === undefined || key === undefined ? {} : { tls: { certificate, key } }),
    nodes: { listen: addressOf(file.nodes.listen), lostAfterMs: file.nodes.lost_after_s * 1000 },
  };
}

// The schema has checked it.
const addressOf = (text: string): Address => readAddress(text) ?? { host: "", port: 0 };

export const registryProgram: Program = {
  command: "rametd registry",
  schema: registryFileSchema,
  prefix: "RAMET_REGISTRY_",
  path: "/etc/ramet/registry.toml",
};
