/**
 * Opens a guest's socket without following what the sandbox may have planted in its place. The sandbox can write
 * in the socket's directory; the directories above are ours. A handle on a name opens nothing that could keep one
 * waiting, so no thread is asked for it.
 */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { connect, type OnReadOpts, type Socket } from "node:net";
import { DomainError, toDomainError } from "../lib/errors.js";

/** Linux's O_PATH (fcntl.h), which Node has no name for: a handle on the name itself, without opening it. */
const openPathOnly = 0o10000000;

export interface ConnectOptions {
  readonly timeoutMs: number;
  /** Takes what arrives, instead of the socket itself. */
  readonly onread?: OnReadOpts | undefined;
}

/**
 * Connects to the socket at `path`, half-open allowed. Fails with `failed_precondition` if something else than a
 * socket is there, `unavailable` if nobody listens, `deadline_exceeded` after `timeoutMs`.
 */
export async function connectSocket(
  path: string,
  { timeoutMs, onread }: ConnectOptions,
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted();
  const handle = openName(path);
  try {
    const found = fstatSync(handle);
    if (!found.isSocket()) throw notASocket(path, found.isSymbolicLink());
    return await connectHandle(handle, { path, timeoutMs, onread }, signal);
  } finally {
    closeSync(handle);
  }
}

function openName(path: string): number {
  try {
    return openSync(path, openPathOnly | constants.O_NOFOLLOW);
  } catch (error) {
    throw unreachable(path, error);
  }
}

function notASocket(path: string, isLink: boolean): DomainError {
  return new DomainError(
    "failed_precondition",
    `the guest's socket ${path} has been replaced by ${isLink ? "a symbolic link" : "something else"}`,
    { hint: "the sandbox tampers with its guest directory; delete it" },
  );
}

function unreachable(path: string, cause: unknown): DomainError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  return new DomainError("unavailable", `the sandbox's guest cannot be reached at ${path}: ${code}`, {
    cause,
    hint: "the sandbox is starting, or is not running; look at its state",
  });
}

function connectHandle(
  handle: number,
  { path, timeoutMs, onread }: ConnectOptions & { readonly path: string },
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ path: `/proc/self/fd/${handle}`, allowHalfOpen: true },
      ...(onread === undefined ? {} : { onread }),
    });
    const settle = (act: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.removeAllListeners();
      act();
    };
    const fail = (error: Error) =>
      settle(() => {
        socket.on("error", () => {});
        socket.destroy();
        reject(error);
      });
    const timer = setTimeout(
      () =>
        fail(
          new DomainError("deadline_exceeded", `the guest at ${path} took no connection in ${timeoutMs} ms`, {
            hint: "the sandbox may be frozen",
          }),
        ),
      timeoutMs,
    );
    const onAbort = () => fail(toDomainError(signal.reason, "cannot connect to the guest"));
    socket.once("connect", () => settle(() => resolve(socket)));
    socket.once("error", (error) => fail(unreachable(path, error)));
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
