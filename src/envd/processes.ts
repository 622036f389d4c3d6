/** process.Process over a node's processes. */
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type Process,
  type ProcessInput,
  type ProcessSelector,
  type PTY,
  Signal,
  type StartRequest,
  type StreamInputRequest,
} from "../gen/e2b/process_pb.js";
import { DomainError } from "../lib/errors.js";
import type { ExecInput, ExecOptions, ProcessInfo, TerminalSize } from "../node/processes.js";
import { answering, streaming } from "./call.js";
import type { EnvdCall, EnvdDeps } from "./deps.js";
import { invalid } from "./failure.js";
import { absolutePath, directoryOf } from "./place.js";
import { answersOf } from "./process-stream.js";

type Service = ServiceImpl<typeof Process>;

const sizeMax = 4096;

async function* noInput(): AsyncGenerator<ExecInput> {}

export function processService(deps: EnvdDeps): Service {
  return { ...openStreams(deps), ...openInput(deps), ...openControl(deps) } as Service;
}

function openStreams(deps: EnvdDeps) {
  const { processes } = deps.node;
  return {
    start: streaming(async function* (request: StartRequest, call, signal) {
      const options = await execOptions(deps, request, call, signal);
      const open = (until: AbortSignal) => processes.exec(call.sandbox, options, noInput(), until);
      const isTerminal = request.pty !== undefined;
      const { timeoutMs } = call;
      const limit = timeoutMs === undefined ? {} : { timeoutMs };
      yield* answersOf(deps, call, { open, isTerminal, ...limit }, signal);
    }),
    connect: streaming(async function* (
      request: { readonly process?: ProcessSelector | undefined },
      call,
      signal,
    ) {
      const { pid, terminal } = await find(deps, call, request.process, signal);
      const open = (until: AbortSignal) => processes.attach(call.sandbox, { pid }, {}, noInput(), until);
      yield* answersOf(deps, call, { open, isTerminal: terminal }, signal);
    }),
  };
}

async function execOptions(
  { node }: EnvdDeps,
  { process, pty, tag, stdin }: StartRequest,
  call: EnvdCall,
  signal: AbortSignal,
): Promise<ExecOptions> {
  if (process === undefined || process.cmd === "") throw invalid("a process needs a command");
  const { cmd, args, envs, cwd = "" } = process;
  // The guest knows the home by itself: nobody has to ask for it.
  const own = async () => (await directoryOf(node, call)) ?? "";
  return {
    argv: [cmd, ...args],
    env: { E2B_SANDBOX: "true", E2B_SANDBOX_ID: call.sandbox, ...envs },
    cwd: await (cwd === "" ? own() : absolutePath(node, call, cwd, signal)),
    stdin: stdin ?? true,
    killOnClose: false,
    ...(call.user === undefined ? {} : { user: call.user }),
    ...(tag === undefined || tag === "" ? {} : { tag }),
    ...(pty === undefined ? {} : { terminal: startSize(pty) }),
  };
}

/** The guest's own size where the client gives none. */
function startSize({ size }: PTY): TerminalSize {
  if (size === undefined) return { columns: 0, rows: 0 };
  return checkSize({ columns: size.cols, rows: size.rows });
}

function checkSize(size: TerminalSize): TerminalSize {
  for (const cells of [size.columns, size.rows])
    if (cells < 1 || cells > sizeMax)
      throw invalid(`a terminal has 1 to ${sizeMax} columns and rows, not ${size.columns} by ${size.rows}`);
  return size;
}

/** `not_found`: nothing of that name was started through the guest, or it is forgotten. */
async function find(
  { node }: EnvdDeps,
  { sandbox }: EnvdCall,
  selector: ProcessSelector | undefined,
  signal: AbortSignal,
): Promise<ProcessInfo> {
  const named = selector?.selector;
  if (named?.case === undefined) throw invalid("pid or tag of the process is missing");
  const isNamed = ({ pid, tag }: ProcessInfo) => (named.case === "pid" ? pid : tag) === named.value;
  const found = (await node.processes.list(sandbox, signal)).filter(isNamed);
  const process = found.find(({ exited }) => exited === undefined) ?? found.at(-1);
  if (process !== undefined) return process;
  throw new DomainError("not_found", `process with ${named.case} ${JSON.stringify(named.value)} not found`);
}

/** One that runs. */
async function findRunning(
  deps: EnvdDeps,
  call: EnvdCall,
  selector: ProcessSelector | undefined,
  signal: AbortSignal,
): Promise<ProcessInfo> {
  const process = await find(deps, call, selector, signal);
  if (process.exited === undefined) return process;
  throw new DomainError("not_found", `process ${process.pid} has exited`);
}

function openInput(deps: EnvdDeps) {
  const { processes } = deps.node;

  async function write(
    { sandbox }: EnvdCall,
    process: ProcessInfo,
    input: ProcessInput | undefined,
    signal: AbortSignal,
  ) {
    const given = input?.input;
    if (given?.case === undefined) throw invalid("the input is missing");
    if ((given.case === "pty") !== process.terminal)
      throw new DomainError(
        "failed_precondition",
        `process ${process.pid} has ${process.terminal ? "a terminal: send pty" : "no terminal: send stdin"}`,
      );
    await processes.write(sandbox, process.pid, given.value, { eof: false }, signal);
  }

  return {
    sendInput: answering(
      async (
        request: {
          readonly process?: ProcessSelector | undefined;
          readonly input?: ProcessInput | undefined;
        },
        call,
        signal,
      ) => {
        await write(call, await findRunning(deps, call, request.process, signal), request.input, signal);
        return {};
      },
    ),
    streamInput: answering(async (requests: AsyncIterable<StreamInputRequest>, call, signal) => {
      let process: ProcessInfo | undefined;
      for await (const { event } of requests) {
        if (event.case === "start") process = await findRunning(deps, call, event.value.process, signal);
        else if (process === undefined) throw invalid("the first message of the stream must be start");
        else if (event.case === "data") await write(call, process, event.value.input, signal);
      }
      return {};
    }),
    closeStdin: answering(
      async (request: { readonly process?: ProcessSelector | undefined }, call, signal) => {
        const { pid, terminal } = await findRunning(deps, call, request.process, signal);
        if (terminal)
          throw new DomainError("failed_precondition", `process ${pid} has a terminal, send it ^D`);
        await processes.write(call.sandbox, pid, new Uint8Array(0), { eof: true }, signal);
        return {};
      },
    ),
  };
}

function openControl(deps: EnvdDeps) {
  const { processes } = deps.node;
  return {
    list: answering(async (_request: unknown, { sandbox }, signal) => {
      const running = (await processes.list(sandbox, signal)).filter(({ exited }) => exited === undefined);
      return {
        processes: running.map(({ pid, tag, argv: [cmd = "", ...args], cwd }) => ({
          pid,
          config: { cmd, args, ...(cwd === "" ? {} : { cwd }) },
          ...(tag === "" ? {} : { tag }),
        })),
      };
    }),
    update: answering(
      async (
        request: { readonly process?: ProcessSelector | undefined; readonly pty?: PTY | undefined },
        call,
        signal,
      ) => {
        const { pid, terminal } = await findRunning(deps, call, request.process, signal);
        if (request.pty === undefined) return {};
        if (!terminal) throw new DomainError("failed_precondition", `process ${pid} has no terminal`);
        const { cols = 0, rows = 0 } = request.pty.size ?? {};
        await processes.resize(call.sandbox, pid, checkSize({ columns: cols, rows }), signal);
        return {};
      },
    ),
    sendSignal: answering(
      async (
        request: { readonly process?: ProcessSelector | undefined; readonly signal: Signal },
        call,
        signal,
      ) => {
        const { pid } = await findRunning(deps, call, request.process, signal);
        if (request.signal === Signal.UNSPECIFIED || Signal[request.signal] === undefined)
          throw invalid("the signal has to be SIGKILL or SIGTERM");
        await processes.signal(call.sandbox, pid, request.signal, { group: false }, signal);
        return {};
      },
    ),
  };
}
