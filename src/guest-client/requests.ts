/** Encoders of REQUEST payloads (docs/guest-protocol.md), one for each operation. Pure. */
import { DomainError } from "../lib/errors.js";
import { requestBytesMax } from "./frame.js";
import { createFieldWriter, type FieldWriter } from "./wire.js";

export const protocolVersion = 1;

const operation = {
  info: 1,
  spawn: 2,
  attach: 3,
  stdin: 4,
  signal: 5,
  resize: 6,
  list: 7,
  wait: 8,
  forget: 9,
  dial: 10,
  quiesce: 11,
  release: 12,
  identity: 13,
  usage: 14,
  shutdown: 15,
  user: 16,
} as const;

/** A process that the guest spawned: its pid inside the sandbox, or the tag it was started with. */
export type ProcessTarget = { readonly pid: number } | { readonly tag: string };

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

export interface SpawnRequest {
  /** One or more; the first is looked up in PATH unless it has a slash. */
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Leaves the sandbox's default environment out. */
  readonly clearEnv?: boolean;
  /** Absolute; default: the user's home. */
  readonly cwd?: string;
  /** `name`, `uid`, `name:group` or `uid:gid`; default: uid 0. */
  readonly user?: string;
  /** At most 256 bytes. */
  readonly tag?: string;
  readonly terminal?: TerminalSize;
  /** Gives the process a pipe instead of /dev/null; a terminal always has input. */
  readonly stdin?: boolean;
  /** Kills the process group when the connection is closed from here. */
  readonly killOnClose?: boolean;
  /** Bytes of output that the guest keeps, 4,096 to 1,048,576; default 65,536. */
  readonly ringBytes?: number;
}

export interface AttachRequest {
  readonly from: "now" | "oldest" | { readonly seq: number };
  readonly stdin?: boolean;
  readonly killOnClose?: boolean;
}

export type DialTarget =
  | { readonly kind: "tcp"; readonly port: number; readonly address?: string }
  | { readonly kind: "unix"; readonly path: string };

export interface IdentityRequest {
  readonly hostname?: string;
  /** 32 hexadecimal digits. */
  readonly machineId?: string;
  /** Greater than 0. */
  readonly generation?: number;
  /** Replaces the default environment of processes started from now on. */
  readonly env?: Readonly<Record<string, string>>;
}

export function begin(code: number): FieldWriter {
  return createFieldWriter().u16(protocolVersion).u16(code);
}

export function flagsOf(...pairs: ReadonlyArray<readonly [boolean | undefined, number]>): number {
  return pairs.reduce((flags, [on, bit]) => (on ? flags | bit : flags), 0);
}

/** Refuses a request beyond the protocol's 1 MiB before anything is sent. */
export function finishRequest(writer: FieldWriter, what: string): Buffer {
  const request = writer.finish();
  if (request.length <= requestBytesMax) return request;
  throw new DomainError(
    "invalid_argument",
    `${what}: ${request.length} bytes of arguments; at most ${requestBytesMax} are possible`,
    { hint: "pass large data through a file or standard input" },
  );
}

function environment(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => {
    if (name === "" || name.includes("=")) {
      throw new DomainError(
        "invalid_argument",
        `${JSON.stringify(name)} cannot name an environment variable`,
      );
    }
    return `${name}=${value}`;
  });
}

function target(writer: FieldWriter, process: ProcessTarget): FieldWriter {
  return "pid" in process ? writer.u32(process.pid).str("") : writer.u32(0).str(process.tag);
}

export const infoRequest = (): Buffer => begin(operation.info).finish();
export const listRequest = (): Buffer => begin(operation.list).finish();
export const usageRequest = (): Buffer => begin(operation.usage).finish();
export const releaseRequest = (): Buffer => begin(operation.release).finish();
export const userRequest = (user: string): Buffer => begin(operation.user).str(user).finish();
export const quiesceRequest = (holdMs: number): Buffer => begin(operation.quiesce).u32(holdMs).finish();
export const shutdownRequest = (graceMs: number): Buffer => begin(operation.shutdown).u32(graceMs).finish();
export const waitRequest = (process: ProcessTarget): Buffer =>
  target(begin(operation.wait), process).finish();
export const forgetRequest = (process: ProcessTarget): Buffer =>
  target(begin(operation.forget), process).finish();

export function spawnRequest(spawn: SpawnRequest, attach: boolean): Buffer {
  if (spawn.argv.length === 0) throw new DomainError("invalid_argument", "a process needs a command");
  const flags = flagsOf(
    [spawn.terminal !== undefined, 1],
    [spawn.stdin, 2],
    [spawn.killOnClose, 4],
    [!attach, 8],
    [spawn.clearEnv, 16],
  );
  const writer = begin(operation.spawn)
    .u32(flags)
    .u16(spawn.terminal?.rows ?? 0)
    .u16(spawn.terminal?.columns ?? 0)
    .u32(spawn.ringBytes ?? 0)
    .str(spawn.user ?? "")
    .str(spawn.cwd ?? "")
    .str(spawn.tag ?? "")
    .list(spawn.argv)
    .list(environment(spawn.env ?? {}));
  return finishRequest(writer, "cannot start the process");
}

export function attachRequest(process: ProcessTarget, attach: AttachRequest): Buffer {
  const { from } = attach;
  const writer = target(begin(operation.attach), process).u32(
    flagsOf([attach.stdin, 1], [attach.killOnClose, 2]),
  );
  if (from === "now") return writer.u8(0).u64(0).finish();
  if (from === "oldest") return writer.u8(1).u64(0).finish();
  return writer.u8(2).u64(from.seq).finish();
}

/** Largest piece of input that one STDIN operation takes. */
export const stdinBytesMax = 256 * 1024;

export function stdinRequest(process: ProcessTarget, data: Uint8Array, eof: boolean): Buffer {
  return target(begin(operation.stdin), process)
    .u8(eof ? 1 : 0)
    .bytes(data)
    .finish();
}

export function signalRequest(process: ProcessTarget, signo: number, group: boolean): Buffer {
  return target(begin(operation.signal), process)
    .i32(signo)
    .u8(group ? 1 : 0)
    .finish();
}

export function resizeRequest(process: ProcessTarget, size: TerminalSize): Buffer {
  return target(begin(operation.resize), process).u16(size.rows).u16(size.columns).finish();
}

export function dialRequest(dial: DialTarget, timeoutMs: number): Buffer {
  const writer = begin(operation.dial);
  const named =
    dial.kind === "tcp"
      ? writer
          .u8(0)
          .u16(dial.port)
          .str(dial.address ?? "")
      : writer.u8(1).u16(0).str(dial.path);
  return named.u32(timeoutMs).finish();
}

export function identityRequest(identity: IdentityRequest): Buffer {
  const writer = begin(operation.identity)
    .str(identity.hostname ?? "")
    .str(identity.machineId ?? "")
    .u64(identity.generation ?? 0)
    .u8(identity.env === undefined ? 0 : 1)
    .list(environment(identity.env ?? {}));
  return finishRequest(writer, "cannot set the sandbox's identity");
}
