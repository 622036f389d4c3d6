/** Processes and their streams between the wire and the domain. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  ExecRequest,
  ExecResponseSchema,
  ExecStart,
  ProcessInfoSchema,
  Terminal,
} from "../gen/ramet/v1/process_pb.js";
import type {
  ExecEvent,
  ExecInput,
  ExecOptions,
  ExitStatus,
  ProcessInfo,
  TerminalSize,
} from "../node/processes.js";
import {
  invalid,
  parseArgv,
  parseCount,
  parseCwd,
  parseEnv,
  parseText,
  parseUser,
  present,
} from "./parse.js";

/** Numbers of the output streams on the wire. */
export const streamNumber = { stdout: 1, stderr: 2 } as const;

const tagBytesMax = 256;

/** 0 means the customary 24 rows and 80 columns. */
export function parseTerminal(message: Terminal | undefined): TerminalSize {
  const rows = parseCount(message?.rows ?? 0, "terminal rows", 0, 4096);
  const columns = parseCount(message?.columns ?? 0, "terminal columns", 0, 4096);
  return { rows: rows || 24, columns: columns || 80 };
}

export function parseTag(tag: string): string | undefined {
  return parseText(tag, "tag", tagBytesMax);
}

export function parseExecStart(message: ExecStart): ExecOptions {
  return {
    argv: parseArgv(message.argv),
    env: parseEnv(message.env),
    stdin: message.stdin,
    killOnClose: message.killOnClose,
    ...present({
      cwd: parseCwd(message.cwd),
      user: parseUser(message.user),
      tag: parseTag(message.tag),
      terminal: message.terminal === undefined ? undefined : parseTerminal(message.terminal),
    }),
  };
}

/** Any message of an Exec stream after the first. */
export function parseExecInput(request: ExecRequest): ExecInput {
  const { message } = request;
  switch (message.case) {
    case "stdin":
      return { kind: "stdin", data: message.value };
    case "stdinEof":
      return { kind: "eof" };
    case "resize":
      return { kind: "resize", size: parseTerminal(message.value) };
    case "start":
    case "attach":
      throw invalid(`${message.case} may only be the first message of the stream`);
    case undefined:
      throw invalid("a message of the stream is empty");
  }
}

export function execEventToProto(event: ExecEvent): MessageInitShape<typeof ExecResponseSchema> {
  switch (event.kind) {
    case "started":
      return {
        event: { case: "started", value: { pid: event.pid, droppedBytes: BigInt(event.droppedBytes) } },
      };
    case "output": {
      const { data, seq } = event;
      const value = { stream: streamNumber[event.stream], data, seq: BigInt(seq) };
      return { event: { case: "output", value } };
    }
    case "exited":
      return { event: { case: "exited", value: exitToProto(event.status) } };
  }
}

function exitToProto(status: ExitStatus) {
  return status.kind === "code"
    ? { result: { case: "exitCode" as const, value: status.code } }
    : { result: { case: "signal" as const, value: status.signal } };
}

export function processToProto(info: ProcessInfo): MessageInitShape<typeof ProcessInfoSchema> {
  const { pid, tag, argv, cwd, user, terminal, startedAt, exited } = info;
  return {
    pid,
    tag,
    argv: [...argv],
    cwd,
    user,
    terminal,
    startedAt: timestampFromDate(startedAt),
    ...(exited === undefined ? {} : { exited: exitToProto(exited) }),
  };
}
