/** One invocation of a command: what was asked for, the agent, and the way out. */
import { Command } from "commander";
import { DomainError } from "../lib/errors.js";
import { parseDuration, parseFilled } from "./arguments.js";
import { type Api, connectAgent } from "./client.js";
import type { Io } from "./io.js";
import { createOutput, type Output } from "./output.js";

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
  /** Connects at the first call, and gives the same connection afterwards. */
  api(): Promise<Api>;
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

function withoutLast<A extends unknown[]>(all: readonly [...A, Command]): A {
  return all.slice(0, -1) as unknown[] as A;
}

function openSession(io: Io, command: Command, signal: AbortSignal): Session & AsyncDisposable {
  const { json = false, socket, timeout } = commonOptions(command);
  const address = socket ?? (io.env["RAMET_SOCKET"] || socketPathDefault);
  let connection: Promise<Api> | undefined;
  return {
    io,
    out: createOutput(io, json),
    signal,
    socketPath: socket,
    streamOptions: timeout === undefined ? { signal } : { signal, timeoutMs: timeout },
    api() {
      connection ??= connectAgent({ socketPath: address, timeoutMs: timeout ?? timeoutMsDefault }, signal);
      return connection;
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
  const json = pick("json");
  const socket = pick("socket");
  const timeout = pick("timeout");
  return {
    ...(json === undefined ? {} : { json }),
    ...(socket === undefined ? {} : { socket }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

/** Gives a command the options that all have. */
export function withCommonOptions(command: Command): Command {
  return command
    .option("--json", "print JSON (docs/cli-json.md)")
    .option(
      "--socket <path>",
      "the agent's socket (default: $RAMET_SOCKET, else /run/ramet/agent.sock)",
      parseFilled,
    )
    .option(
      "--timeout <duration>",
      "give up after this long, e.g. 30s (default: 10m; streams: none)",
      parseDuration,
    );
}

/** A command that does something, with the common options, and below its help examples without the `ramet`. */
export function leaf(name: string, summary: string, examples: readonly string[]): Command {
  const command = withCommonOptions(new Command(name).description(summary));
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
