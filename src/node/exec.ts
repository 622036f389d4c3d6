/** The stream of one process: started or attached to, input in, output out, through dumps of its sandbox. */
import { disconnected, guestErrorOf } from "../guest-client/errors.js";
import type { GuestProcess } from "../guest-client/process.js";
import type { ProcessOutput } from "../guest-client/replies.js";
import type { SpawnRequest } from "../guest-client/requests.js";
import { DomainError, toDomainError } from "../lib/errors.js";
import { interruptible } from "../lib/interruptible.js";
import type { Logger } from "../lib/log.js";
import { linkSignals } from "../lib/signal.js";
import type { SandboxId } from "../sandbox/sandbox.js";
import { feedProcess } from "./exec-input.js";
import type { Guest, Guests } from "./guests.js";
import type { ExecEvent, ExecInput, ExecOptions } from "./processes.js";
import type { LiveSandbox } from "./running.js";

export interface ExecDeps {
  readonly guests: Pick<Guests, "stream" | "call">;
  readonly log: Pick<Logger, "warn">;
}

export interface Followed {
  readonly id: SandboxId;
  /** Starts the process or attaches to it; called once. */
  readonly begin: (guest: Guest, signal: AbortSignal) => Promise<GuestProcess>;
  readonly killOnClose: boolean;
  readonly input: AsyncIterable<ExecInput>;
}

const sigkill = 9;
const killMs = 60_000;

/** What is asked for, completed by the sandbox's own defaults. */
export function spawnOf(options: ExecOptions, { spec }: Pick<LiveSandbox, "spec">): SpawnRequest {
  const { argv, terminal, stdin, killOnClose, tag, env } = options;
  const wantsTerm = terminal !== undefined && env["TERM"] === undefined && spec.env["TERM"] === undefined;
  return {
    argv,
    env: wantsTerm ? { TERM: "xterm-256color", ...env } : env,
    cwd: options.cwd ?? spec.cwd,
    user: options.user ?? spec.user,
    stdin,
    killOnClose,
    ...(terminal === undefined ? {} : { terminal }),
    ...(tag === undefined ? {} : { tag }),
  };
}

/** In a command line the directory is an argument, and only the command is what may be missing. */
export function spawnError(thrown: unknown): unknown {
  const code = guestErrorOf(thrown)?.code;
  const { code: kind, message, hint, cause } = toDomainError(thrown);
  if (kind !== "not_found" || code !== "bad_cwd") return thrown;
  return new DomainError("invalid_argument", message, { cause, ...(hint === undefined ? {} : { hint }) });
}

/** Where a reader stands; what it needs to go on after a cut. */
interface Place {
  pid: number;
  seq: number;
}

/**
 * Follows a process until it exits. Leaving early lets go of it, and kills its group with `killOnClose`. The guest does
 * so by itself unless a dump has cut the connection, and that it has may not be known here yet.
 */
export async function* followProcess(
  deps: ExecDeps,
  followed: Followed,
  signal: AbortSignal,
): AsyncGenerator<ExecEvent> {
  const { id } = followed;
  using linked = linkSignals(signal);
  const place: Place = { pid: 0, seq: 0 };
  let feeding: Promise<void> | undefined;
  let hasExited = false;
  const open = (guest: Guest, attempt: number, until: AbortSignal) =>
    openProcess(followed, place, { guest, attempt }, until);
  try {
    for await (const event of deps.guests.stream(id, open, linked.signal)) {
      if (event.kind === "started") {
        feeding = feedProcess(deps, { id, pid: event.pid }, followed.input, linked.signal).catch(
          linked.abort,
        );
      }
      hasExited = event.kind === "exited";
      yield event;
    }
  } finally {
    linked.abort(streamHasEnded);
    await feeding;
    if (followed.killOnClose && place.pid !== 0 && !hasExited) await killGroup(deps, id, place.pid);
  }
}

const streamHasEnded = new DomainError("cancelled", "the process's stream has ended");

async function openProcess(
  { begin, killOnClose }: Followed,
  place: Place,
  { guest, attempt }: { readonly guest: Guest; readonly attempt: number },
  signal: AbortSignal,
): Promise<AsyncIterable<ExecEvent>> {
  if (attempt === 0) {
    const process = await begin(guest, signal);
    Object.assign(place, { pid: process.pid, seq: process.startSeq });
    return started(process, place);
  }
  const { pid, seq } = place;
  const process = await guest.attach({ pid }, { from: { seq }, killOnClose }, signal);
  if (process.droppedBytes > 0) {
    process.close();
    throw lost(pid, process.droppedBytes, process.startSeq);
  }
  return events(process, place);
}

function lost(pid: number, bytes: number, seq: number): DomainError {
  return new DomainError(
    "unavailable",
    `${bytes} bytes of process ${pid}'s output were lost over a checkpoint`,
    {
      hint: `the process goes on; attach again from position ${seq}`,
    },
  );
}

async function* started(process: GuestProcess, place: Place): AsyncGenerator<ExecEvent> {
  try {
    yield { kind: "started", pid: process.pid, droppedBytes: process.droppedBytes };
    yield* events(process, place);
  } finally {
    process.close();
  }
}

async function* events(process: GuestProcess, place: Place): AsyncGenerator<ExecEvent> {
  for await (const output of process.output) {
    place.seq = output.seq + output.data.length;
    yield outputEvent(output, place.seq);
  }
  const end = await process.exit;
  if (end.kind === "detached") throw disconnected(`following process ${process.pid}`);
  const { status } = end.exit;
  yield {
    kind: "exited",
    status: status.kind === "code" ? status : { kind: "signal", signal: status.signal },
  };
}

function outputEvent({ stream, data }: ProcessOutput, seq: number): ExecEvent {
  return { kind: "output", stream: stream === "stderr" ? "stderr" : "stdout", data, seq };
}

/** Under its own deadline: the caller is gone, and the gate may be closed for a while. */
async function killGroup({ guests, log }: ExecDeps, id: SandboxId, pid: number): Promise<void> {
  const kill = (guest: Guest, signal: AbortSignal) =>
    guest.signal({ pid }, { signo: sigkill, group: true }, signal);
  try {
    await guests.call(id, kill, AbortSignal.timeout(killMs));
  } catch (err) {
    if (guestErrorOf(err)?.code === "no_such_process") return;
    log.warn({ err, sandbox: id, pid }, "a process whose caller left could not be killed");
  }
}

/** Refuses data for a process that was started without standard input; an end of it is nothing to refuse. */
export async function* withoutStdin(
  input: AsyncIterable<ExecInput>,
  signal: AbortSignal,
): AsyncGenerator<ExecInput> {
  for await (const item of interruptible(input, signal)) {
    if (item.kind === "stdin") {
      throw new DomainError("failed_precondition", "input for a process that was started without stdin", {
        hint: "start it with stdin",
      });
    }
    if (item.kind === "resize") yield item;
  }
}
