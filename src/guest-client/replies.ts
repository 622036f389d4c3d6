/** Decoders of what the guest answers, frame by frame. Pure; every value outside the protocol is refused. */
import { misbehaved, reportedError } from "./errors.js";
import { createFieldReader, type FieldReader } from "./wire.js";

/** Decodes a whole payload: bytes that are left over are refused. */
export function decode<T>(payload: Buffer, read: (reader: FieldReader) => T): T {
  const reader = createFieldReader(payload);
  const value = read(reader);
  reader.end();
  return value;
}

function oneOf<T>(table: readonly (T | undefined)[], index: number, what: string): T {
  const value = table[index];
  if (value === undefined) throw misbehaved(`unknown ${what} ${index}`);
  return value;
}

export const nothing = (_reader: FieldReader): void => {};

/** The ERROR frame. `what` says what was being done. */
export function readError(payload: Buffer, what: string): Error {
  return decode(payload, (reader) => {
    const code = reader.u16();
    reader.u16();
    return reportedError(what, code, reader.i32(), reader.str());
  });
}

export type ExitStatus =
  | { readonly kind: "code"; readonly code: number }
  | { readonly kind: "signal"; readonly signal: number; readonly coreDumped: boolean };

export interface ProcessExit {
  readonly status: ExitStatus;
  /** Position of the end of the output. */
  readonly seq: number;
  readonly userUs: number;
  readonly systemUs: number;
  readonly rssMaxBytes: number;
  readonly endedAt: Date;
}

export function readExit(reader: FieldReader): ProcessExit {
  const kind = oneOf(["code", "signal"] as const, reader.u8(), "kind of exit");
  const coreDumped = reader.u8() === 1;
  reader.u16();
  const number = reader.i32();
  return {
    status: kind === "code" ? { kind, code: number } : { kind, signal: number, coreDumped },
    seq: reader.u64(),
    userUs: reader.u64(),
    systemUs: reader.u64(),
    rssMaxBytes: reader.u64() * 1024,
    endedAt: reader.dateMs(),
  };
}

export interface Attached {
  readonly pid: number;
  readonly seq: number;
  readonly dropped: number;
}

export function readAttached(reader: FieldReader): Attached {
  return { pid: reader.u32(), seq: reader.u64(), dropped: reader.u64() };
}

export type OutputStream = "stdout" | "stderr" | "terminal";

export interface ProcessOutput {
  readonly stream: OutputStream;
  /** Position of the first byte in the process's whole output. */
  readonly seq: number;
  readonly data: Buffer;
}

const streams = [undefined, "stdout", "stderr", "terminal"] as const;

export function readOutput(reader: FieldReader): ProcessOutput {
  const seq = reader.u64();
  const stream = oneOf(streams, reader.u8(), "output stream");
  const data = reader.rest();
  if (data.length === 0) throw misbehaved("an output frame without output");
  return { seq, stream, data };
}

export interface GuestProcessInfo {
  /** Unique in the sandbox's life, unlike the pid. */
  readonly spawnId: number;
  readonly pid: number;
  readonly state: "starting" | "running" | "exited";
  readonly terminal: boolean;
  readonly stdinOpen: boolean;
  readonly outputOpen: boolean;
  readonly argvCut: boolean;
  /** Its output waits until its readers are back; see QUIESCE. */
  readonly held: boolean;
  readonly readers: number;
  readonly startedAt: Date;
  readonly oldestSeq: number;
  readonly endSeq: number;
  readonly exit?: ProcessExit;
  readonly tag: string;
  readonly user: string;
  readonly cwd: string;
  readonly argv: readonly string[];
}

export function readProcess(reader: FieldReader): GuestProcessInfo {
  const spawnId = reader.u64();
  const pid = reader.u32();
  const state = oneOf(["starting", "running", "exited"] as const, reader.u8(), "process state");
  const flags = reader.u8();
  const readers = reader.u16();
  const startedAt = reader.dateMs();
  const oldestSeq = reader.u64();
  const endSeq = reader.u64();
  const exit = readExit(reader);
  return {
    ...{ spawnId, pid, state, readers, startedAt, oldestSeq, endSeq },
    terminal: (flags & 1) !== 0,
    stdinOpen: (flags & 2) !== 0,
    outputOpen: (flags & 4) !== 0,
    argvCut: (flags & 8) !== 0,
    held: (flags & 16) !== 0,
    ...(state === "exited" ? { exit } : {}),
    tag: reader.str(),
    user: reader.str(),
    cwd: reader.str(),
    argv: reader.list(),
  };
}

export interface GuestUser {
  readonly uid: number;
  readonly gid: number;
  /** Empty if not in the sandbox's /etc/passwd. */
  readonly name: string;
  readonly home: string;
  readonly shell: string;
}

export function readUser(reader: FieldReader): GuestUser {
  return {
    uid: reader.u32(),
    gid: reader.u32(),
    name: reader.str(),
    home: reader.str(),
    shell: reader.str(),
  };
}

export interface Quiesced {
  readonly running: number;
  readonly held: number;
}

export const readQuiesced = (reader: FieldReader): Quiesced => ({
  running: reader.u32(),
  held: reader.u32(),
});

export type IdentityPart = "hostname" | "hosts" | "machineId" | "generation";
const identityParts = ["hostname", "hosts", "machineId", "generation"] as const;

/** The files that could not be written, which is no error (a read-only root, say). */
export function readIdentitySet(reader: FieldReader): readonly IdentityPart[] {
  const bits = reader.u32();
  if (bits > 0b1111) throw misbehaved(`identity bits ${bits}`);
  return identityParts.filter((_, index) => (bits & (1 << index)) !== 0);
}

export interface GuestInfo {
  readonly version: number;
  readonly oldestVersion: number;
  readonly guestVersion: string;
  readonly running: number;
  readonly connections: number;
  readonly generation: number;
  readonly held: boolean;
  readonly connectionsMax: number;
  readonly processesMax: number;
  readonly requestBytesMax: number;
  readonly frameBytesMax: number;
}

export function readInfo(reader: FieldReader): GuestInfo {
  return {
    version: reader.u16(),
    oldestVersion: reader.u16(),
    guestVersion: reader.str(),
    running: reader.u32(),
    connections: reader.u32(),
    generation: reader.u64(),
    held: reader.u8() === 1,
    connectionsMax: reader.u32(),
    processesMax: reader.u32(),
    requestBytesMax: reader.u32(),
    frameBytesMax: reader.u32(),
  };
}

export interface GuestUsage {
  readonly uptimeMs: number;
  /** Spawned processes. */
  readonly running: number;
  readonly exited: number;
  readonly connections: number;
  readonly helpers: number;
  readonly outputKeptBytes: number;
  /** Resident size of the guest alone. */
  readonly guestRssBytes: number;
  /** In the whole sandbox. */
  readonly processes: number;
  readonly threads: number;
  readonly cpuUs: number;
  /** Sum of resident sizes: shared pages count for each process. */
  readonly memoryBytes: number;
}

export function readUsage(reader: FieldReader): GuestUsage {
  return {
    uptimeMs: reader.u64(),
    running: reader.u32(),
    exited: reader.u32(),
    connections: reader.u32(),
    helpers: reader.u32(),
    outputKeptBytes: reader.u64(),
    guestRssBytes: reader.u64(),
    processes: reader.u32(),
    threads: reader.u32(),
    cpuUs: reader.u64(),
    memoryBytes: reader.u64(),
  };
}
