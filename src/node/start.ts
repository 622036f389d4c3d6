/** Builds a node out of its parts, and recovers: the one place where they are wired. */
import { mkdir, readFile } from "node:fs/promises";
import { machine, release } from "node:os";
import { join } from "node:path";
import { parseCpuInfo } from "../checkpoint/cpu-features.js";
import { createVerifier } from "../checkpoint/verify.js";
import type { AgentConfig } from "../config/schema.js";
import { connectContainerd } from "../containerd/client.js";
import { readCriuVersion, readRuncVersion } from "../criu/features.js";
import { passingPath } from "../criu/passing.js";
import { systemClock } from "../lib/clock.js";
import { openCopier } from "../lib/copier.js";
import { createKeyedQueue } from "../lib/keyed-queue.js";
import { createLimiter } from "../lib/limit.js";
import type { Logger } from "../lib/log.js";
import { openScope } from "../lib/scope.js";
import { openStore } from "../store/open-store.js";
import { parseCgroupMounts } from "./cgroup.js";
import { openCheckpointVerbs } from "./checkpoints.js";
import { commitSandbox } from "./commit.js";
import { createSandbox } from "./create.js";
import type { Deps, Settings } from "./deps.js";
import { openEvents } from "./events.js";
import { openFailpoint } from "./failpoint.js";
import { openFiles } from "./file-operations.js";
import { forkSandbox } from "./fork.js";
import { openFreezer } from "./freezer.js";
import { openGuests } from "./guests.js";
import { raiseHostLimits } from "./host-limits.js";
import { openImageVerbs } from "./images.js";
import { readInfo } from "./info.js";
import { installGuest } from "./install-guest.js";
import { keepClone } from "./keep.js";
import { streamLogs } from "./logs.js";
import { type Memoryd, openMemoryd, unavailable } from "./memoryd.js";
import type { Node, Sandboxes } from "./node.js";
import { nodePaths, type Paths } from "./paths.js";
import { pauseFiles, pauseSandbox } from "./pause.js";
import { openPorts } from "./ports.js";
import { openProcesses } from "./process-operations.js";
import { recover } from "./recover.js";
import { resumeSandbox } from "./resume.js";
import { rollBackSandbox } from "./roll-back.js";
import { openShims } from "./shims.js";
import { openSlots, type Slots } from "./slots.js";
import { listStats, readStats } from "./stats.js";
import { deleteSandbox, stopSandbox } from "./stop.js";
import { openTemplateVerbs } from "./templates.js";
import { followTasks, watchTasks } from "./watch-tasks.js";

export interface NodeOptions {
  readonly config: AgentConfig;
  /** The static binary that this release brings. */
  readonly guestBinary: string;
  /** The static binary that answers for shared memory; there is none but on x86-64. */
  readonly memorydBinary: string;
  readonly version: string;
  readonly log: Logger;
}

export interface StartedNode extends AsyncDisposable {
  readonly node: Node;
}

/**
 * Opens the store (which locks it), connects to containerd, recovers. Disposing lets go: sandboxes run on, and
 * the next start adopts them.
 */
export async function startNode(
  { config, guestBinary, memorydBinary, version, log }: NodeOptions,
  signal: AbortSignal,
): Promise<StartedNode> {
  await using scope = openScope();
  const paths = nodePaths(config);
  await makeDirectories(paths, config);
  const store = scope.use(openStore(paths.database));
  if (config.hostLimits === "raise") await raiseHostLimits(log);
  const containerd = await connectContainerd(config.containerd, signal);
  scope.defer(() => containerd.close());
  const watching = new AbortController();
  scope.defer(() => watching.abort());
  const taskEvents = await followTasks(containerd, watching.signal);
  const now = systemClock;
  const events = openEvents({ store, now });
  const settings = await readSettings({ config, paths, guestBinary });
  const cgroups = parseCgroupMounts(await readFile("/proc/self/mountinfo", "utf8"));
  const { runc, runcRoot } = settings;
  const places = config.sandboxesPerShim;
  const shims = scope.use(await openShims({ containerd, log, runc, runcRoot, places }, signal));
  const copier = openCopier({ passing: passingPath });
  scope.defer(() => copier[Symbol.dispose]());
  const memoryd = scope.use(await startMemoryd(config, memorydBinary, log));
  const deps: Deps = {
    store,
    containerd,
    paths,
    now,
    log,
    guests: openGuests({ log }),
    copier,
    cgroups,
    freezer: openFreezer(cgroups),
    queue: createKeyedQueue({ waitingMax: config.operationsWaitingMax }),
    // Beyond the restores themselves, records and guests' greetings overlap with others' restores.
    launches: createLimiter(2 * config.restoreParallelism),
    restores: createLimiter(config.restoreParallelism),
    endings: createLimiter(config.restoreParallelism),
    forkParallelism: 2 * config.restoreParallelism,
    verifier: createVerifier({ parallel: 16, rememberMax: 10_000 }),
    failpoint: openFailpoint(config.failpoints, endAtOnce),
    record: (type, { sandbox, attributes = {} }) =>
      events.record({ type, attributes, ...(sandbox === undefined ? {} : { sandbox }) }),
    settings,
    shims,
    memoryd,
  };
  await recover(deps, signal);
  const watch = watchTasks(deps, taskEvents).catch((err: unknown) => {
    if (!watching.signal.aborted) log.error({ err }, "following containerd's events ended");
  });
  scope.defer(async () => {
    watching.abort();
    await watch;
  });
  const slots = scope.use(openSlots(deps, { budgetBytes: config.slotMemoryBytes }));
  slots.tend();
  const owned = scope.move();
  return {
    node: nodeOver(deps, { events, slots, version, config }),
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

function startMemoryd(
  { memory, runDir, dataDir }: AgentConfig,
  binary: string,
  log: Logger,
): Promise<Memoryd> {
  if (memory.sharing === "off")
    return Promise.resolve(unavailable("the configuration says so (memory.sharing)"));
  const socket = memory.memorydSocket ?? join(runDir, "memoryd.sock");
  const isForeign = memory.memorydSocket !== undefined;
  return openMemoryd({ binary, socket, isForeign, log, logPath: join(dataDir, "memoryd.log") });
}

/** What a failpoint's `kill` does: no handler, no cleanup, as a crash. */
function endAtOnce(): never {
  process.kill(process.pid, "SIGKILL");
  for (;;);
}

async function makeDirectories(paths: Paths, { dataDir, runDir }: AgentConfig): Promise<void> {
  // Mapped roots walk through the data directory to their guest directories, and see nothing in it.
  for (const directory of [dataDir, runDir, paths.sandboxes])
    await mkdir(directory, { recursive: true, mode: 0o711 });
  await mkdir(paths.empty, { recursive: true, mode: 0o555 });
  await mkdir(paths.checkpoints, { recursive: true, mode: 0o700 });
}

interface SettingsSource {
  readonly config: AgentConfig;
  readonly paths: Paths;
  readonly guestBinary: string;
}

async function readSettings({ config, paths, guestBinary }: SettingsSource): Promise<Settings> {
  const { prefix, ids, runDir } = config;
  const runc = join(prefix, "bin/runc");
  const [guests, cpuInfo, criuVersion, runcVersion] = await Promise.all([
    installGuest(paths, guestBinary),
    readFile("/proc/cpuinfo", "utf8"),
    readCriuVersion(join(prefix, "bin/criu")),
    readRuncVersion(runc),
  ]);
  return {
    ids,
    runc,
    runcRoot: join(runDir, "runc"),
    guestVersion: guests.current,
    host: {
      architecture: machine(),
      kernel: release(),
      cpuFeatures: parseCpuInfo(cpuInfo),
      criuVersion,
      runcVersion,
      guestVersions: guests.installed,
      ids,
    },
  };
}

interface NodeParts {
  readonly events: ReturnType<typeof openEvents>;
  readonly slots: Slots;
  readonly version: string;
  readonly config: AgentConfig;
}

function nodeOver(deps: Deps, { events, slots, version, config }: NodeParts): Node {
  return {
    sandboxes: sandboxVerbs(deps, slots),
    processes: openProcesses(deps),
    files: openFiles(deps),
    ports: openPorts(deps),
    checkpoints: openCheckpointVerbs(deps),
    templates: openTemplateVerbs(deps, slots),
    images: openImageVerbs(deps),
    events: (query, signal) => events.follow(query, signal),
    info: (signal) => readInfo({ ...deps, version, dataDir: config.dataDir }, signal),
  };
}

function sandboxVerbs(deps: Deps, slots: Slots): Sandboxes {
  const { store } = deps;
  return {
    create: (options, signal) => createSandbox(deps, slots, options, signal),
    get: async (ref) => store.sandboxes.find(ref),
    list: async (filter) => store.sandboxes.list(filter),
    fork: (ref, options, signal) => forkSandbox(deps, ref, options, signal),
    keep: (ref, options, signal) => keepClone(deps, ref, options, signal),
    pause: (ref, signal) => pauseSandbox(deps, ref, signal),
    pauseWithoutMemory: (ref, signal) => pauseFiles(deps, ref, signal),
    resume: (ref, signal) => resumeSandbox(deps, ref, { memory: true }, signal),
    resumeWithoutMemory: (ref, signal) => resumeSandbox(deps, ref, { memory: false }, signal),
    rollBack: (ref, options, signal) => rollBackSandbox(deps, ref, options, signal),
    stop: (ref, options, signal) => stopSandbox(deps, ref, options, signal),
    delete: (ref, options, signal) => deleteSandbox(deps, ref, options, signal),
    commit: (ref, options, signal) => commitSandbox(deps, ref, options, signal),
    stats: (ref, signal) => readStats(deps, ref, signal),
    listStats: (refs, signal) => listStats(deps, refs, signal),
    logs: (ref, options, signal) => streamLogs(deps, ref, options, signal),
  };
}
