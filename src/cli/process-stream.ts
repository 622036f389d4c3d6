/** One process's stream with the caller's own input, output and signals on the near end. */
import { constants } from "node:os";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ExecOutput, ExecRequestSchema, ExecResponse } from "../gen/ramet/v1/process_pb.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { openScope, type Scope } from "../lib/scope.js";
import { exitCodeOfSignal } from "./exit-code.js";
import { type CaughtSignal, caughtSignals } from "./io.js";
import { createQueue, type Queue } from "./queue.js";
import type { Session } from "./session.js";
import { createDetachFilter, enterRawMode, sizeOf, watchSize } from "./terminal.js";
import { exitView } from "./views.js";

type ExecRequestInit = MessageInitShape<typeof ExecRequestSchema>;

export interface StreamOptions {
  readonly sandbox: string;
  readonly isInteractive: boolean;
  readonly hasTerminal: boolean;
  readonly detachKeys: Uint8Array;
}

/** As many signals of one kind as end the stream when the process ignores them. */
const signalsMax = 3;
const queuedChunksMax = 16;

/** Carries a process's stream until it exits; returns its exit code, or 128 and the signal's number. */
export async function followProcess(
  session: Session,
  first: ExecRequestInit,
  options: StreamOptions,
): Promise<number> {
  const api = await session.api();
  const detach = new AbortController();
  const signal = AbortSignal.any([session.signal, detach.signal]);
  await using scope = openScope();
  const requests = createQueue<ExecRequestInit>(() => session.io.stdin.resume());
  requests.push(first);
  // A process that was left may have a terminal of another size.
  if (options.hasTerminal && first.message?.case === "attach")
    requests.push({ message: { case: "resize", value: sizeOf(session.io.stdout) } });
  const process: FollowedProcess = { pid: 0, signalled: 0 };
  const leaveIt = async () => {
    // The answer to a later call says that what was typed before the detach keys has arrived.
    await requests.drained();
    await api.processes.list({ sandbox: options.sandbox }, { signal }).catch(() => {});
    detach.abort(detached);
  };
  connectInput(session, { scope, requests, options, detach: leaveIt });
  if (!options.hasTerminal) scope.defer(forwardSignals(session, process, options, detach));
  try {
    for await (const response of api.processes.exec(requests, { ...session.streamOptions, signal })) {
      const exitCode = await showResponse(session, response, process);
      if (exitCode !== undefined) return exitCode;
    }
  } catch (error) {
    if (detach.signal.aborted) return leave(session, process, options, detach.signal);
    throw explain(error, process, options);
  }
  throw new DomainError("unavailable", "the stream ended before the process did");
}

interface FollowedProcess {
  pid: number;
  signalled: number;
}

const detached = Symbol("detached");

interface Wiring {
  readonly scope: Scope;
  readonly requests: Queue<ExecRequestInit>;
  readonly options: StreamOptions;
  readonly detach: () => Promise<void>;
}

function connectInput({ io }: Session, { scope, requests, options, detach }: Wiring): void {
  if (options.hasTerminal) {
    const resize = (value: { rows: number; columns: number }) =>
      requests.push({ message: { case: "resize", value } });
    scope.defer(watchSize(io.stdout, resize));
  }
  if (!options.isInteractive) return;
  if (options.hasTerminal) scope.defer(enterRawMode(io.stdin));
  const filter = createDetachFilter(options.hasTerminal ? options.detachKeys : new Uint8Array());
  const onData = (chunk: Uint8Array) => {
    const { data, isDetached } = filter(chunk);
    if (data.length > 0) requests.push({ message: { case: "stdin", value: data } });
    if (isDetached) void detach();
    else if (requests.size >= queuedChunksMax) io.stdin.pause();
  };
  const onEnd = () => requests.push({ message: { case: "stdinEof", value: true } });
  io.stdin.on("data", onData);
  io.stdin.once("end", onEnd);
  scope.defer(() => {
    io.stdin.off("data", onData).off("end", onEnd);
    io.stdin.pause();
  });
}

/** The process decides what a signal means; only one that ignores it three times is left alone. */
function forwardSignals(
  session: Session,
  process: FollowedProcess,
  { sandbox }: StreamOptions,
  detach: AbortController,
): () => void {
  const forward = async (name: CaughtSignal) => {
    const request = { sandbox, pid: process.pid, signal: constants.signals[name], group: true };
    const api = await session.api();
    // It may have exited meanwhile; the stream tells.
    await api.processes.signal(request).catch(() => {});
  };
  return session.io.onSignal(async (name) => {
    process.signalled += 1;
    if (process.pid === 0 || name === "SIGHUP" || process.signalled >= signalsMax) return detach.abort(name);
    if (name !== "SIGPIPE") return await forward(name);
    // Nobody reads the output any more: a process that only produces it would run for ever.
    await forward("SIGHUP");
    detach.abort(name);
  });
}

async function showResponse(
  session: Session,
  { event }: ExecResponse,
  process: FollowedProcess,
): Promise<number | undefined> {
  const { out } = session;
  switch (event.case) {
    case "started": {
      process.pid = event.value.pid;
      const droppedBytes = Number(event.value.droppedBytes);
      if (out.isJson)
        await out.line("execEvent", { event: "started", pid: process.pid, droppedBytes }, () => "");
      else if (droppedBytes > 0) out.note(`(${droppedBytes} bytes of earlier output are no longer kept)`);
      return undefined;
    }
    case "output":
      await showOutput(session, event.value);
      return undefined;
    case "exited": {
      const exit = exitView(event.value);
      if (out.isJson) await out.line("execEvent", { event: "exited", ...exit }, () => "");
      return exit.signal === undefined ? (exit.exitCode ?? 0) : exitCodeOfSignal(exit.signal);
    }
    case undefined:
      return undefined;
  }
}

async function showOutput({ out }: Session, { stream: number, data, seq }: ExecOutput): Promise<void> {
  const stream = number === 2 ? "stderr" : "stdout";
  if (!out.isJson) return await out.raw(stream, data);
  const base64 = Buffer.from(data).toString("base64");
  await out.line("execEvent", { event: "output", stream, data: base64, seq: Number(seq) }, () => "");
}

function leave(session: Session, process: FollowedProcess, options: StreamOptions, by: AbortSignal): number {
  const again = `ramet attach ${options.sandbox} ${process.pid}`;
  if (by.reason !== "SIGPIPE") session.out.note(`detached; the process goes on: ${again}`);
  if (by.reason === detached) return 0;
  const name = caughtSignals.find((candidate) => candidate === by.reason) ?? "SIGINT";
  return exitCodeOfSignal(constants.signals[name]);
}

/** A pause, or an agent that stops, takes the stream away from a process that goes on; say how to get it back. */
function explain(error: unknown, { pid }: FollowedProcess, { sandbox }: StreamOptions): unknown {
  if (!isDomainError(error, "unavailable") || pid === 0) return error;
  const hint = `the process may go on: ramet attach ${sandbox} ${pid} (after ramet resume ${sandbox}, if it is paused)`;
  return new DomainError("unavailable", error.message, { cause: error, hint });
}
