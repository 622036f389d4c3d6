/** Adds the guard of shared memory to the processes of a dump. */
import { setImmediate } from "node:timers/promises";
import { DomainError } from "../../lib/errors.js";
import { onlyMessage, readImage } from "./codec.js";
import { readThread, withFilter } from "./core.js";
import { numbersOf, readDumpFile, readMessages, replaceMessages } from "./dump-files.js";
import { guardProgram, idleProgram } from "./guard-program.js";
import { allNumbersOf, type Message, parseMessage, requiredNumber } from "./message.js";
import {
  chainOf,
  type Filter,
  filterFlags,
  mode,
  newFilter,
  readFilters,
  type Thread,
  withFlags,
  withProgram,
  writeFilters,
} from "./seccomp-chain.js";

export interface GuardOptions {
  /** CRIU's images; they are changed. */
  readonly images: string;
  /** The processes to guard; all of them, if not given. */
  readonly pids?: readonly number[];
}

export interface GuardedProcess {
  /** Its id inside. */
  readonly pid: number;
  /** Threads that get a listener at a restore: the first alone where it is in the filters of all. */
  readonly listeners: readonly number[];
}

interface Process {
  readonly pid: number;
  /** The first is the leader. */
  readonly threads: readonly Thread[];
}

const seccompName = "seccomp.img";
const pstreeName = "pstree.img";
/** So many processes before others get their turn. */
const perTurn = 16;

/**
 * From then on a restore gives each process a listener: an open descriptor in its own table, for whoever restores to
 * take out. A guard without shared memory does no harm, and the reverse would. One without a listener would: the calls
 * would fail. So what others have of it, from the process that started them, is made idle.
 */
export async function guardProcesses(
  { images, pids }: GuardOptions,
  signal: AbortSignal,
): Promise<GuardedProcess[]> {
  const seccomp = await readDumpFile(images, seccompName);
  const image =
    seccomp === undefined
      ? []
      : parseMessage(onlyMessage(readImage(seccomp, "seccomp", seccompName), seccompName), seccompName);
  const { processes: all, cores } = await readProcesses(images, signal);
  const processes = pids === undefined ? all : all.filter(({ pid }) => pids.includes(pid));
  const others = all.filter((process) => !processes.includes(process));
  const { filters, first, guarded } = guardChains(readFilters(image, seccompName), processes, others);
  // Filters that no thread names do no harm; a thread that names one which is not there would.
  replaceMessages(images, seccompName, "seccomp", [writeFilters(image, filters)]);
  for (const [tid, filter] of first) {
    const name = coreName(tid);
    const core = cores.get(tid);
    if (core !== undefined) replaceMessages(images, name, "core", [withFilter(core, filter, name)]);
  }
  return guarded;
}

interface Guarded {
  readonly filters: readonly Filter[];
  /** New first filters, by thread. */
  readonly first: ReadonlyMap<number, number>;
  readonly guarded: GuardedProcess[];
}

/** A call that is being answered for cannot be ended by a signal, which would have it done twice. */
const guardFlags = filterFlags.newListener | filterFlags.tsyncEsrch | filterFlags.waitKillable;

/** Pure. The guard is installed first: nothing that is there already has to be changed for it. */
export function guardChains(
  found: readonly Filter[],
  processes: readonly Process[],
  unguarded: readonly Process[] = [],
): Guarded {
  const filters = [...found];
  const first = new Map<number, number>();
  idleIn(filters, unguarded);
  const guarded = processes.map(({ pid, threads }) => {
    const [leader, ...others] = threads;
    // Where all threads have the same filters, the images have them for the leader, who spreads them at a restore.
    const tsync =
      leader !== undefined &&
      others.every((thread) => thread.mode === mode.none) &&
      (leader.mode === mode.none || spreads(filters, leader));
    const own = tsync ? [leader] : threads;
    const flags = guardFlags | (tsync ? filterFlags.tsync : 0);
    const listeners = own.filter((thread) => thread.mode !== mode.strict);
    for (const thread of listeners) guardThread(thread, flags);
    return { pid, listeners: listeners.map(({ tid }) => tid) };
  });
  return { filters, first, guarded };

  function guardThread(thread: Thread, flags: number): void {
    const chain = thread.mode === mode.filter ? chainOf(filters, thread, seccompName) : [];
    const known = chain.find((index) => isGuard(filters[index]));
    const guard = known === undefined ? undefined : filters[known];
    if (known !== undefined && guard !== undefined) {
      filters[known] = withProgram(withFlags(guard, guard.flags | flags), guardProgram);
      return;
    }
    first.set(thread.tid, filters.length);
    filters.push(newFilter(guardProgram, flags, chain[0]));
  }
}

const isGuard = (filter: Filter | undefined) =>
  filter !== undefined && [guardProgram, idleProgram].some((program) => filter.program.equals(program));

/** Before those that are guarded get theirs: where they share a filter with these, it is a guard again. */
function idleIn(filters: Filter[], processes: readonly Process[]): void {
  for (const thread of processes.flatMap(({ threads }) => threads)) {
    if (thread.mode !== mode.filter) continue;
    for (const index of chainOf(filters, thread, seccompName)) {
      const filter = filters[index];
      if (filter?.program.equals(guardProgram)) filters[index] = withProgram(filter, idleProgram);
    }
  }
}

function spreads(filters: readonly Filter[], leader: Thread): boolean {
  const flags = leader.mode === mode.filter ? filters[leader.filter]?.flags : undefined;
  return ((flags ?? 0) & filterFlags.tsync) !== 0;
}

async function readProcesses(images: string, signal: AbortSignal) {
  const processes: Process[] = [];
  const cores = new Map<number, Message>();
  const alive = new Set(numbersOf(images, "mm"));
  const tree = await readMessages(images, pstreeName, "pstree");
  for (const [index, bytes] of tree.entries()) {
    if (index % perTurn === perTurn - 1) await setImmediate();
    const message = parseMessage(bytes, pstreeName);
    const pid = requiredNumber(message, 1, pstreeName);
    if (!alive.has(pid)) continue;
    const threads: Thread[] = [];
    for (const tid of allNumbersOf(message, 5, pstreeName)) {
      signal.throwIfAborted();
      const name = coreName(tid);
      const core = parseMessage(onlyMessage(await readMessages(images, name, "core"), name), name);
      const thread = readThread(core, tid, name);
      if (thread === undefined) continue;
      cores.set(tid, core);
      threads.push(thread);
    }
    if (threads[0]?.tid !== pid)
      throw new DomainError("failed_precondition", `process ${pid} of the dump cannot be guarded`, {
        hint: "memory is shared on x86-64 alone",
      });
    processes.push({ pid, threads });
  }
  return { processes, cores };
}

const coreName = (tid: number) => `core-${tid}.img`;
