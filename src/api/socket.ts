/** The place of the agent's unix socket: who may have it, and how a new one gets there. */
import { chmod, lstat, mkdir, rename, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { DomainError } from "../lib/errors.js";
import { openScope } from "../lib/scope.js";

/** sun_path of Linux, without its NUL (unix(7)). */
const socketPathBytesMax = 107;
const probeTimeoutMs = 2000;

/**
 * Binds a socket at `path` with mode 0600, never open to others even for a moment: it is bound in a private
 * directory beside its place and moved there. A socket that nobody listens on is replaced.
 * Throws `failed_precondition` when an agent listens there already, or something that is no socket is there.
 */
export async function bindPrivately(
  path: string,
  bind: (path: string) => Promise<void>,
): Promise<AsyncDisposable> {
  await claim(path);
  await using scope = openScope();
  // One fixed name, so that a start after a crash finds and removes what was left.
  const directory = `${path}.new`;
  const temporary = `${directory}/s`;
  refuseLongPath(temporary);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { mode: 0o700 });
  scope.defer(() => rm(directory, { recursive: true, force: true }));
  await bind(temporary);
  await chmod(temporary, 0o600);
  const { ino } = await stat(temporary);
  await rename(temporary, path);
  return {
    async [Symbol.asyncDispose]() {
      // Only our own: a successor may have put its socket there meanwhile.
      if ((await inodeOf(path)) === ino) await rm(path, { force: true });
    },
  };
}

async function claim(path: string): Promise<void> {
  const found = await lstat(path).catch(missing);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new DomainError(
      "failed_precondition",
      `cannot listen on ${path}: something that is not a socket is there`,
      {
        hint: "move it away, or choose another socket path",
      },
    );
  if (await isAnswered(path))
    throw new DomainError(
      "failed_precondition",
      `cannot listen on ${path}: an agent is listening there already`,
      {
        hint: "stop the other agent first, or give this one its own run directory",
      },
    );
}

/** Whether somebody listens there. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (isLive: boolean) => {
      socket.destroy();
      resolve(isLive);
    };
    // Something that holds the socket without accepting is alive too.
    socket.setTimeout(probeTimeoutMs, () => answer(true));
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
  });
}

function refuseLongPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > socketPathBytesMax)
    throw new DomainError("invalid_argument", `socket path ${path} is ${bytes} bytes long`, {
      hint: `a unix socket's path has at most ${socketPathBytesMax} bytes; choose a shorter run directory`,
    });
}

async function inodeOf(path: string): Promise<number | undefined> {
  return (await lstat(path).catch(missing))?.ino;
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
