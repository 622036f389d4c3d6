/**
 * memoryd (docs/memoryd.md) from the agent's side: started when nobody else runs it, asked to take a restored
 * sandbox's listeners over. It outlives the agent, as the sandboxes do.
 */
import { spawn } from "node:child_process";
import { open, stat } from "node:fs/promises";
import { connect } from "node:net";
import { machine } from "node:os";
import { text } from "node:stream/consumers";
import { DomainError, isDomainError } from "../lib/errors.js";
import type { Logger } from "../lib/log.js";
import { waitUntil, withDeadline } from "../lib/signal.js";
import { memoryPath } from "../sandbox/oci-spec.js";

export interface Memoryd extends AsyncDisposable {
  /** False: dumps keep their memory in their own images, and what shares it cannot be restored. */
  readonly isAvailable: boolean;
  /**
   * Takes over the listeners of the processes in a control group, given as the path of its cgroup.procs. Gives how
   * many threads still have one, which keeps a dump from working.
   */
  adopt(procs: string, signal?: AbortSignal): Promise<{ readonly pending: number }>;
  /** Before a dump: asks once more where threads still had one. */
  settle(procs: string, signal?: AbortSignal): Promise<void>;
}

export interface MemorydOptions {
  readonly binary: string;
  readonly socket: string;
  /** Gets its log. */
  readonly logPath: string;
  /** Somebody else runs it, as systemd does: it is neither started nor sent away. */
  readonly isForeign: boolean;
  readonly log: Pick<Logger, "warn" | "info">;
}

const answerMs = 30_000;
const startMs = 5_000;

export async function openMemoryd(options: MemorydOptions): Promise<Memoryd> {
  const reason = await begin(options).then(
    () => undefined,
    (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown)),
  );
  if (reason !== undefined) {
    options.log.warn({ reason }, "memory is not shared between sandboxes");
    return unavailable(reason);
  }
  let reviving: Promise<void> | undefined;
  /** Once for all that find it dead at the same time, or who comes later would send away whom the first has started. */
  const reviveOnce = () => {
    reviving ??= revive(options).finally(() => {
      reviving = undefined;
    });
    return reviving;
  };
  const pendingIn = new Set<string>();
  const adopt: Memoryd["adopt"] = async (procs, signal) => {
    const answer = await ask(options.socket, `adopt ${procs}`, signal).catch(async (thrown: unknown) => {
      if (!isDomainError(thrown, "unavailable")) throw thrown;
      await reviveOnce();
      return ask(options.socket, `adopt ${procs}`, signal);
    });
    const [, pending = "0"] = /^adopted \d+(?: pending (\d+))?$/.exec(answer) ?? unexpected(answer);
    if (Number(pending) > 0) pendingIn.add(procs);
    else pendingIn.delete(procs);
    return { pending: Number(pending) };
  };
  return {
    isAvailable: true,
    adopt,
    async settle(procs, signal) {
      if (pendingIn.has(procs)) await adopt(procs, signal);
    },
    async [Symbol.asyncDispose]() {
      // It ends once the last sandbox that it serves has.
      if (!options.isForeign) await ask(options.socket, "drain").catch(() => {});
    },
  };
}

/** For an agent that does not share memory. */
export function unavailable(reason: string): Memoryd {
  return {
    isAvailable: false,
    async adopt() {
      throw new DomainError(
        "failed_precondition",
        `this checkpoint shares its memory with others, which does not work here: ${reason}`,
        { hint: "`ramet doctor` tells more; restore it on a machine where it works" },
      );
    },
    async settle() {},
    async [Symbol.asyncDispose]() {},
  };
}

async function begin(options: MemorydOptions): Promise<void> {
  if (machine() !== "x86_64") throw new Error(`memoryd is for x86-64 alone, and this is ${machine()}`);
  const { socket, isForeign } = options;
  if (isForeign) {
    // It may be starting beside the agent.
    const answers = async () => (await versionOf(socket)) !== undefined;
    await waitUntil("memoryd", answers, { intervalMs: 50, timeoutMs: startMs }).catch((cause: unknown) => {
      throw silent(socket, cause, "start it: the agent does not, because of memory.memoryd_socket");
    });
    return;
  }
  const running = await versionOf(socket);
  await stat(options.binary).catch(() => {
    throw new Error(`there is no ${options.binary}`);
  });
  // One that an agent left behind may be of another release.
  if (running !== undefined) await ask(socket, "drain");
  await start(options);
}

/** It has died: what it served is served on, and what is new needs a new one. */
async function revive(options: MemorydOptions): Promise<void> {
  if (options.isForeign) await begin(options);
  else if ((await versionOf(options.socket)) === undefined) await start(options);
}

async function start({ binary, socket, logPath }: MemorydOptions): Promise<void> {
  await using file = await open(logPath, "a", 0o600);
  const args = ["--prefix", `${memoryPath}/`, socket];
  const child = spawn(binary, args, { detached: true, stdio: ["ignore", file.fd, file.fd], cwd: "/" });
  child.unref();
  let ended: string | undefined;
  child.once("exit", (code) => {
    ended = `it ended with ${code}`;
  });
  child.once("error", ({ message }) => {
    ended = message;
  });
  const answers = async () => ended !== undefined || (await versionOf(socket)) !== undefined;
  await waitUntil("memoryd", answers, { intervalMs: 5, timeoutMs: startMs });
  if (ended !== undefined) throw new Error(`memoryd does not start: ${ended}; see ${logPath}`);
}

async function versionOf(socket: string): Promise<string | undefined> {
  const answer = await ask(socket, "version").catch(() => undefined);
  return /^version (\S+)$/.exec(answer ?? "")?.[1];
}

function unexpected(answer: string): never {
  throw new DomainError("internal", `memoryd: ${answer.replace(/^error /, "")}`);
}

const silent = (socket: string, cause: unknown, hint?: string) =>
  new DomainError("unavailable", `memoryd does not answer at ${socket}`, {
    cause,
    ...(hint === undefined ? {} : { hint }),
  });

/** One request on a connection of its own; `unavailable` when nobody is there. */
function ask(socket: string, request: string, signal?: AbortSignal): Promise<string> {
  return withDeadline(
    "memoryd",
    answerMs,
    async (linked) => {
      const connection = connect({ path: socket, signal: linked });
      try {
        connection.end(`${request}\n`);
        const answer = await text(connection);
        // It has ended in the middle of it.
        if (answer === "") throw new Error("it closed the connection");
        return answer.trimEnd();
      } catch (cause) {
        linked.throwIfAborted();
        throw silent(socket, cause);
      } finally {
        connection.destroy();
      }
    },
    signal,
  );
}
