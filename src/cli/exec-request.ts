/** What `exec` and `run` have in common: options of a process. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import type { ExecStartSchema } from "../gen/ramet/v1/process_pb.js";
import { parseDetachKeys } from "./arguments.js";
import type { Io } from "./io.js";
import { followProcess } from "./process-stream.js";
import { type Session, usage } from "./session.js";
import { sizeOf } from "./terminal.js";

export interface ProcessOptions {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
  readonly user?: string;
  readonly tag?: string;
  readonly detachKeys: Uint8Array;
}

const detachKeysDefault = "ctrl-p,ctrl-q";

export function detachKeysOption(summary: string): Option {
  return new Option("--detach-keys <keys>", summary)
    .argParser(parseDetachKeys)
    .default(parseDetachKeys(detachKeysDefault), detachKeysDefault);
}

export function withProcessOptions(command: Command): Command {
  return command
    .option("-i, --interactive", "keep standard input open and pass it on")
    .option("-t, --tty", "give the process a terminal")
    .option("-w, --workdir <path>", "working directory inside (default: the sandbox's)")
    .option("-u, --user <user>", "user inside: a name or uid[:gid] (default: the sandbox's)")
    .option("--tag <word>", "a word to find the process by later")
    .addOption(detachKeysOption("with -t: keys that leave the process running"));
}

export interface ProcessStart {
  readonly sandbox: string;
  readonly argv: readonly string[];
  readonly isDetached: boolean;
}

export function startInit(io: Io, start: ProcessStart, options: ProcessOptions) {
  const { tty = false, interactive = false } = options;
  if (tty && interactive && io.stdin.isTTY !== true)
    throw usage("standard input is not a terminal", "leave out -t, or -i");
  // TERM is what docker sets too: a terminal without it is of little use.
  const env = tty ? { TERM: "xterm", ...options.env } : (options.env ?? {});
  return {
    sandbox: start.sandbox,
    argv: [...start.argv],
    env: { ...env },
    cwd: options.workdir ?? "",
    user: options.user ?? "",
    tag: options.tag ?? "",
    stdin: interactive,
    detach: start.isDetached,
    ...(tty ? { terminal: sizeOf(io.stdout) } : {}),
  } satisfies MessageInitShape<typeof ExecStartSchema>;
}

/** Starts a process and stays with it; returns the exit code to end with. */
export async function startAndFollow(
  session: Session,
  start: ProcessStart,
  options: ProcessOptions,
): Promise<number> {
  const value = startInit(session.io, start, options);
  return await followProcess(
    session,
    { message: { case: "start", value } },
    {
      sandbox: start.sandbox,
      isInteractive: options.interactive ?? false,
      hasTerminal: options.tty ?? false,
      detachKeys: options.detachKeys,
    },
  );
}

/** Starts a process and leaves it; returns its pid. */
export async function startDetached(
  session: Session,
  start: ProcessStart,
  options: ProcessOptions,
): Promise<number> {
  const api = await session.api();
  const value = startInit(session.io, { ...start, isDetached: true }, options);
  async function* request() {
    yield { message: { case: "start" as const, value } };
  }
  for await (const { event } of api.processes.exec(request(), session.streamOptions))
    if (event.case === "started") return event.value.pid;
  throw new Error("the agent answered without a pid");
}

/** `exec a1 -- ls` and `exec a1 ls` are the same. */
export function commandWords(words: readonly string[]): readonly string[] {
  return words[0] === "--" ? words.slice(1) : words;
}
