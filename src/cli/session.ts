/** One invocation of a command: what was asked for, the agent, and the way out. */
import { Command, type Option } from "commander";
import { DomainError } from "../lib/errors.js";
import { parseDuration, parseFilled } from "./arguments.js";
import { type Api, connectAgent } from "./client.js";
import type { Io } from "./io.js";
import { createOutput, type Output } from "./output.js";
import { connectRegistry } from "./registry-api.js";
import {
  findAdminKey,
  openRegistryClient,
  type RegistryClient,
  registryUrlDefault,
} from "./registry-client.js";

/** Where the agent listens when nothing else is said. */
export const socketPathDefault = "/run/ramet/agent.sock";
/** Generous: a create may unpack, a pause may write gigabytes. */
const timeoutMsDefault = 600_000;

export interface Session {
  readonly io: Io;
  readonly out: Output;
  /** Aborted by SIGINT, SIGTERM and SIGHUP, unless the command listens to these itself. */
  readonly signal: AbortSignal;
  /** Bound that was asked for, also for streams; absent when none was named. */
  readonly streamOptions: { readonly signal: AbortSignal; readonly timeoutMs?: number };
  /** The socket that --socket names, if it does. */
  readonly socketPath: string | undefined;
  /** The registry that --registry names, if it does: api() is then over its nodes. */
  readonly registryUrl: string | undefined;
  /**
   * The agent of this machine or, with --registry, all nodes of that registry. Connects at the first call, and gives the
   * same connection afterwards.
   */
  api(): Promise<Api>;
  /** The registry that is asked, for commands that are registryLeaf. */
  registry(): RegistryClient;
}

/** What a command needs in order to be built. */
export interface Cli {
  readonly io: Io;
  /** Wraps the work of a command: the number it returns, if any, is the exit code. */
  action<A extends unknown[]>(
    work: (session: Session, ...args: A) => Promise<number | undefined> | Promise<void>,
  ): (...args: [...A, Command]) => Promise<void>;
}

interface CommonOptions {
  readonly json?: boolean;
  readonly socket?: string;
  readonly timeout?: number;
  readonly registry?: string;
  readonly adminKeyFile?: string;
}

export interface Invocation {
  readonly cli: Cli;
  exitCode(): number;
}

/** Holds what one invocation shares; `signal` ends it. */
export function openInvocation(io: Io, signal: AbortSignal): Invocation {
  let exitCode = 0;
  return {
    exitCode: () => exitCode,
    cli: {
      io,
      action:
        (work) =>
        async (...all) => {
          const command = all.at(-1);
          if (!(command instanceof Command)) throw new Error("commander passes the command last");
          await using session = openSession(io, command, signal);
          exitCode = (await work(session, ...withoutLast(all))) ?? 0;
        },
    },
  };
}

/** A team's own key comes first: it may do less. */
function keyOf({ env }: Io, adminKeyFile: string | undefined): string | undefined {
  if (adminKeyFile === undefined && env["RAMET_API_KEY"]) return env["RAMET_API_KEY"].trim();
  return findAdminKey({ given: env["RAMET_ADMIN_KEY"], file: adminKeyFile });
}

function withoutLast<A extends unknown[]>(all: readonly [...A, Command]): A {
  return all.slice(0, -1) as unknown[] as A;
}

function openSession(io: Io, command: Command, signal: AbortSignal): Session & AsyncDisposable {
  const { json = false, socket, timeout, registry, adminKeyFile } = commonOptions(command);
  const address = socket ?? (io.env["RAMET_SOCKET"] || socketPathDefault);
  let connection: Promise<Api> | undefined;
  return {
    io,
    out: createOutput(io, json),
    signal,
    socketPath: socket,
    registryUrl: registry,
    streamOptions: timeout === undefined ? { signal } : { signal, timeoutMs: timeout },
    async api() {
      const timeoutMs = timeout ?? timeoutMsDefault;
      if (registry !== undefined && socket !== undefined)
        throw usage(
          "--registry and --socket exclude each other",
          "the one is over all nodes, the other of one",
        );
      connection ??=
        registry === undefined
          ? connectAgent({ socketPath: address, timeoutMs }, signal)
          : connectRegistry({ url: registry, key: keyOf(io, adminKeyFile), timeoutMs }, signal);
      return await connection;
    },
    registry() {
      const url = registry ?? (io.env["RAMET_REGISTRY"] || registryUrlDefault);
      const adminKey = findAdminKey({ given: io.env["RAMET_ADMIN_KEY"], file: adminKeyFile });
      return openRegistryClient({ url, adminKey, timeoutMs: timeout ?? timeoutMsDefault }, signal);
    },
    async [Symbol.asyncDispose]() {
      (await connection?.catch(() => undefined))?.[Symbol.dispose]();
    },
  };
}

/** The command's own options win over those given before it. */
function commonOptions(command: Command): CommonOptions {
  const chain: CommonOptions[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) chain.push(at.opts<CommonOptions>());
  const pick = <K extends keyof CommonOptions>(key: K) =>
    chain.find((opts) => opts[key] !== undefined)?.[key];
  const names = ["json", "socket", "timeout", "registry", "adminKeyFile"] as const;
  return Object.fromEntries(names.flatMap((name) => (pick(name) === undefined ? [] : [[name, pick(name)]])));
}

/** Gives a command the options that all have which ask the agent. */
export function withCommonOptions(command: Command): Command {
  return withAllOptions(command).option(
    "--socket <path>",
    "the agent's socket (default: $RAMET_SOCKET, else /run/ramet/agent.sock)",
    parseFilled,
  );
}

/** Gives a command the options that say which registry is asked, and how to be let in. */
export function withRegistryOptions(command: Command): Command {
  return command
    .option(
      "--registry <url>",
      `the registry's address (default: $RAMET_REGISTRY, else ${registryUrlDefault})`,
      parseFilled,
    )
    .option(
      "--admin-key-file <path>",
      "file with the admin key (default: $RAMET_ADMIN_KEY is the key, else the file of this machine's registry)",
      parseFilled,
    );
}

function withAllOptions(command: Command): Command {
  return command
    .option("--json", "print JSON (docs/cli-json.md)")
    .option(
      "--timeout <duration>",
      "give up after this long, e.g. 30s (default: 10m; streams: none)",
      parseDuration,
    );
}

/** As leaf, of a command that asks a registry. */
export function registryLeaf(name: string, summary: string, examples: readonly string[]): Command {
  return withExamples(withRegistryOptions(withAllOptions(new Command(name).description(summary))), examples);
}

/** A command that does something, with the common options, and below its help examples without the `ramet`. */
export function leaf(name: string, summary: string, examples: readonly string[]): Command {
  const command = withRegistryOptions(withCommonOptions(new Command(name).description(summary)));
  // They are for those few that have a meaning over several nodes; `ramet --help` has them.
  for (const option of command.options) if (isForRegistry(option)) option.hideHelp();
  return withExamples(command, examples);
}

const isForRegistry = ({ long }: Option) => long === "--registry" || long === "--admin-key-file";

function withExamples(command: Command, examples: readonly string[]): Command {
  const lines = examples.map((example) => `  $ ${example.includes("| ramet") ? "" : "ramet "}${example}`);
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}

/** A noun whose verbs are subcommands. */
export function group(name: string, summary: string, verbs: readonly Command[]): Command {
  const command = new Command(name).description(summary);
  for (const verb of verbs) command.addCommand(verb);
  return command;
}

export function usage(message: string, hint?: string): DomainError {
  return new DomainError("invalid_argument", message, hint === undefined ? {} : { hint });
}
