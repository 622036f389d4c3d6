/** containerd's tasks: what runs of a container, behind the runc shim, which drives CRIU. */
import { CheckpointOptionsSchema, OptionsSchema } from "../gen/containerd/runc/v1/options_pb.js";
import { Tasks as Service } from "../gen/containerd/services/tasks/v1/tasks_pb.js";
import { type Process, Status } from "../gen/containerd/v1/types/task_pb.js";
import { DomainError, type ErrorCode, isDomainError } from "../lib/errors.js";
import type { Client } from "../lib/grpc.js";
import { mapLimited } from "../lib/limit.js";
import { delay } from "../lib/signal.js";
import { type Connection, deadlines } from "./connection.js";
import { dateOf, dateOrEpoch, mountInit, packAny } from "./convert.js";
import { attempt, present } from "./errors.js";
import type { Mount } from "./mounts.js";

export type TaskStatus = "created" | "running" | "stopped" | "paused" | "pausing" | "unknown";

export interface Task {
  readonly id: string;
  /** Of the init process, in the host's pid namespace. */
  readonly pid: number;
  readonly status: TaskStatus;
  readonly exitStatus: number;
  readonly exitedAt?: Date;
}

export interface Exit {
  /** Exit code, or 128 plus the signal's number. */
  readonly status: number;
  readonly exitedAt: Date;
}

export interface NewTask {
  readonly id: string;
  readonly rootfs: readonly Mount[];
  /** Path of the OCI runtime. */
  readonly runc?: string;
  /** Directory of the OCI runtime's own state; the shim adds the namespace's name. */
  readonly runcRoot?: string;
  /** Makes `start` restore from CRIU's images in this directory. */
  readonly restoreFrom?: { readonly imagesDirectory: string; readonly workDirectory: string };
}

export interface CheckpointRequest {
  readonly imagesDirectory: string;
  /** Gets `dump.log`. */
  readonly workDirectory: string;
  /** True ends the processes once they are dumped. */
  readonly exit: boolean;
}

export interface Tasks {
  /** Starts the shim and mounts the root filesystem; nothing runs before `start`. No standard streams. */
  create(task: NewTask, signal?: AbortSignal): Promise<{ pid: number }>;
  start(id: string, signal?: AbortSignal): Promise<{ pid: number }>;
  /** Freezes every process. */
  pause(id: string, signal?: AbortSignal): Promise<void>;
  resume(id: string, signal?: AbortSignal): Promise<void>;
  /** Freeze it first: CRIU waits in steps of 100 ms for a cgroup that it has to freeze itself. */
  checkpoint(id: string, request: CheckpointRequest, signal?: AbortSignal): Promise<void>;
  /** Signals init, or every process; `not_found` when it has ended. */
  kill(id: string, kill: { signalNumber: number; all?: boolean }, signal?: AbortSignal): Promise<void>;
  /** Waits without bound for the end of init. */
  wait(id: string, signal?: AbortSignal): Promise<Exit>;
  /** Removes a stopped task, its mounts and its shim; `failed_precondition` while it runs. */
  delete(id: string, signal?: AbortSignal): Promise<Exit>;
  /** While the task is being dumped there is no answer; this waits for it, up to the deadline of a dump. */
  get(id: string, signal?: AbortSignal): Promise<Task>;
  /** Those that there are of these, waited for as by `get`. */
  of(ids: readonly string[], signal?: AbortSignal): Promise<Task[]>;
  /** One that does not answer within 2 s, as while it is dumped, is `unknown`, its pid 0 (containerd's getProcessState). */
  list(signal?: AbortSignal): Promise<Task[]>;
  /** Host pids of all its processes. */
  pids(id: string, signal?: AbortSignal): Promise<number[]>;
}

export function openTasks(connection: Connection): Tasks {
  const calls = connection.service(Service);
  return { ...lifecycle(calls), ...queries(calls) };
}

type Calls = Client<typeof Service>;
type Query = "wait" | "get" | "of" | "list" | "pids";

function lifecycle(calls: Calls): Omit<Tasks, Query> {
  return {
    create: (task, signal) =>
      attempt(`create task ${task.id}`, async () => {
        const request = {
          containerId: task.id,
          rootfs: task.rootfs.map(mountInit),
          options: packAny(OptionsSchema, {
            binaryName: task.runc ?? "",
            root: task.runcRoot ?? "",
            criuImagePath: task.restoreFrom?.imagesDirectory ?? "",
            criuWorkPath: task.restoreFrom?.workDirectory ?? "",
          }),
        };
        return { pid: (await calls.create(request, { signal, timeoutMs: deadlines.start })).pid };
      }),
    start: (id, signal) =>
      attempt(`start task ${id}`, async () => {
        const { pid } = await calls.start({ containerId: id }, { signal, timeoutMs: deadlines.start });
        return { pid };
      }),
    pause: (id, signal) =>
      attempt(`freeze task ${id}`, async () => {
        await calls.pause({ containerId: id }, { signal, timeoutMs: deadlines.act });
      }),
    resume: (id, signal) =>
      attempt(`thaw task ${id}`, async () => {
        await calls.resume({ containerId: id }, { signal, timeoutMs: deadlines.act });
      }),
    checkpoint: (id, { imagesDirectory, workDirectory, exit }, signal) =>
      attempt(`checkpoint task ${id} to ${imagesDirectory}`, async () => {
        const options = packAny(CheckpointOptionsSchema, {
          imagePath: imagesDirectory,
          workPath: workDirectory,
          exit,
        });
        await calls.checkpoint({ containerId: id, options }, { signal, timeoutMs: deadlines.dump });
      }),
    kill: (id, { signalNumber, all = false }, signal) =>
      attempt(`send signal ${signalNumber} to task ${id}`, async () => {
        await calls.kill(
          { containerId: id, signal: signalNumber, all },
          { signal, timeoutMs: deadlines.act },
        );
      }),
    delete: (id, signal) =>
      attempt(`delete task ${id}`, async () => {
        const exit = await calls.delete({ containerId: id }, { signal, timeoutMs: deadlines.act });
        return { status: exit.exitStatus, exitedAt: dateOrEpoch(exit.exitedAt) };
      }),
  };
}

/** While a shim that has died is being cleared away, containerd cannot reach it. */
const clearingMs = 10_000;
const retryMs = 50;
/** Tasks that are asked for at once; one that is being dumped keeps its place until that is over. */
const lookupsMax = 64;

function queries(calls: Calls): Pick<Tasks, Query> {
  const get = (id: string, signal?: AbortSignal) =>
    retry("deadline_exceeded", { forMs: deadlines.dump, signal }, () =>
      attempt(`look up task ${id}`, async () => {
        const task = taskOf(present((await calls.get({ containerId: id }, { signal })).process, "the task"));
        if (task.status === "unknown") throw new DomainError("deadline_exceeded", "its shim does not answer");
        return task;
      }),
    );

  async function peek(id: string, signal?: AbortSignal): Promise<Task | undefined> {
    try {
      return await retry("unavailable", { forMs: clearingMs, signal }, () => get(id, signal));
    } catch (thrown) {
      if (isDomainError(thrown, "not_found")) return undefined;
      throw thrown;
    }
  }

  return {
    wait: (id, signal) =>
      attempt(`wait for task ${id}`, async () => {
        const exit = await calls.wait({ containerId: id }, { signal, timeoutMs: 0 });
        return { status: exit.exitStatus, exitedAt: dateOrEpoch(exit.exitedAt) };
      }),
    get,
    of: async (ids, signal) => {
      const tasks = await mapLimited(ids, lookupsMax, (id, _, linked) => peek(id, linked), signal);
      return tasks.filter((task) => task !== undefined);
    },
    list: (signal) => attempt("list tasks", async () => (await calls.list({}, { signal })).tasks.map(taskOf)),
    pids: (id, signal) =>
      attempt(`list the processes of task ${id}`, async () =>
        (await calls.listPids({ containerId: id }, { signal })).processes.map(({ pid }) => pid),
      ),
  };
}

interface Patience {
  readonly forMs: number;
  readonly signal: AbortSignal | undefined;
}

async function retry<T>(code: ErrorCode, { forMs, signal }: Patience, work: () => Promise<T>): Promise<T> {
  const endAt = performance.now() + forMs;
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      // The caller's own deadline has the same code.
      if (!isDomainError(thrown, code) || signal?.aborted || performance.now() >= endAt) throw thrown;
      await delay(retryMs, signal);
    }
  }
}

const statuses = {
  [Status.UNKNOWN]: "unknown",
  [Status.CREATED]: "created",
  [Status.RUNNING]: "running",
  [Status.STOPPED]: "stopped",
  [Status.PAUSED]: "paused",
  [Status.PAUSING]: "pausing",
} as const satisfies Record<Status, TaskStatus>;

/** List answers with `id` only, Get with both. */
function taskOf({ containerId, id, pid, status, exitStatus, exitedAt }: Process): Task {
  const task = { id: id === "" ? containerId : id, pid, status: statuses[status] ?? "unknown", exitStatus };
  const exited = dateOf(exitedAt);
  return exited === undefined ? task : { ...task, exitedAt: exited };
}
