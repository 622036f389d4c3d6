/** Reads a configuration: flags before environment before file before defaults. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parse as parseToml, TomlError } from "smol-toml";
import { z } from "zod";
import { DomainError } from "../lib/errors.js";
import { listOptions, type Option, type Program } from "./options.js";
import {
  type RegistryConfig,
  registryFileSchema,
  registryProgram,
  resolveRegistryConfig,
} from "./registry-schema.js";
import { type AgentConfig, agentProgram, fileSchema, resolveConfig } from "./schema.js";

export interface ConfigSources {
  /** Arguments after the command. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function loadAgentConfig(sources: ConfigSources): AgentConfig {
  const { env, argv } = sources;
  if (argv.some((word) => /^--(?:join-)?token(?:=|$)/.test(word)))
    throw new DomainError(
      "invalid_argument",
      "a token among the arguments is shown to everybody on this machine",
      {
        hint: "put it into a file of root's for --token-file, give it on standard input with --token-file -, or set RAMET_JOIN_TOKEN",
      },
    );
  const file = load(agentProgram, fileSchema, sources);
  const joinToken = env["RAMET_JOIN_TOKEN"];
  const config = resolveConfig(file, {
    failpoints: env["RAMET_FAILPOINTS"] ?? "",
    ...(joinToken === undefined || joinToken === "" ? {} : { joinToken }),
  });
  return checkTogether(config);
}

export function loadRegistryConfig(sources: ConfigSources): RegistryConfig {
  return resolveRegistryConfig(load(registryProgram, registryFileSchema, sources));
}

/**
 * `--config` or the variable CONFIG names another file than the default one, which may be absent. Throws
 * `invalid_argument` that names key and source.
 */
function load<S extends z.ZodObject>(program: Program, schema: S, { argv, env }: ConfigSources): z.output<S> {
  const options = listOptions(program);
  const flags = parseFlags(argv, program, options);
  const file = readConfigFile(flags.get("config") ?? env[`${program.prefix}CONFIG`], program.path);
  const settings: Settings = { values: structuredClone(file.values), sources: new Map() };
  for (const option of options) {
    override(settings, option, { text: env[option.environment], source: option.environment });
    override(settings, option, { text: flags.get(option.flag), source: `--${option.flag}` });
  }
  const parsed = schema.safeParse(settings.values);
  if (!parsed.success) throw invalid(parsed.error, settings, file.path);
  return parsed.data;
}

/** For `--help`. */
export function describeOptions(program: Program): string[] {
  const file = `  --config PATH\n      The file to read. Default: ${program.path}.`;
  const describe = ({ flag, key, environment, isNumber, description }: Option) =>
    `  --${flag} ${isNumber ? "N" : "TEXT"}\n      ${description} (${key}, ${environment})`;
  return [file, ...listOptions(program).map(describe)];
}

type Table = Record<string, unknown>;

interface Settings {
  readonly values: Table;
  /** Where a key's value comes from, when not from the file. */
  readonly sources: Map<string, string>;
}

interface Given {
  readonly text: string | undefined;
  readonly source: string;
}

function override({ values, sources }: Settings, { key, isNumber }: Option, { text, source }: Given): void {
  if (text === undefined || text === "") return;
  const [first = "", second] = key.split(".");
  const value = isNumber && /^\d+$/.test(text) ? Number(text) : text;
  sources.set(key, source);
  if (second === undefined) {
    values[first] = value;
    return;
  }
  const section = values[first];
  // A section that is no table is for the schema to refuse.
  values[first] =
    typeof section === "object" ? { ...section, [second]: value } : (section ?? { [second]: value });
}

function parseFlags(
  argv: readonly string[],
  { command }: Program,
  options: readonly Option[],
): ReadonlyMap<string, string> {
  const names = ["config", ...options.map(({ flag }) => flag)];
  const known = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  try {
    const { values } = parseArgs({ args: [...argv], options: known, strict: true, allowPositionals: false });
    return new Map(
      Object.entries(values).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
    );
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new DomainError("invalid_argument", message, { cause, hint: `see \`${command} --help\`` });
  }
}

function readConfigFile(given: string | undefined, usual: string): { path: string; values: Table } {
  const path = given ?? usual;
  try {
    return { path, values: parseToml(readFileSync(path, "utf8")) };
  } catch (cause) {
    if (given === undefined && isNotFound(cause)) return { path, values: {} };
    const why = cause instanceof TomlError || cause instanceof Error ? cause.message : String(cause);
    throw new DomainError("invalid_argument", `cannot read the configuration ${path}: ${why}`, { cause });
  }
}

function isNotFound(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
}

function invalid(error: z.ZodError, { sources }: Settings, path: string): DomainError {
  const sentences = error.issues.map((issue) => {
    const key = issue.path.join(".");
    const at = sources.get(key) ?? path;
    return `${key === "" ? "" : `${key}: `}${issue.message} (from ${at})`;
  });
  return new DomainError("invalid_argument", `bad configuration: ${sentences.join("; ")}`, {
    hint: "the example file lists every key",
  });
}

// The last id is reserved: it means "no change" to chown(2).
const idMax = 2 ** 32 - 2;

function checkTogether(config: AgentConfig): AgentConfig {
  const { base, size } = config.ids;
  if (base + size - 1 > idMax) {
    throw new DomainError("invalid_argument", `bad configuration: user_namespace ends beyond ${idMax}`);
  }
  const sockets = z.string().max(107);
  for (const socket of [config.socket, config.containerd.address]) {
    if (!sockets.safeParse(socket).success) {
      throw new DomainError("invalid_argument", `bad configuration: ${socket} is too long for a socket`, {
        hint: "choose a shorter run_dir",
      });
    }
  }
  return config;
}
