/**
 * What a node holds outside its database, before and after: mounts, cgroups, shims, sockets, directories, and
 * everything of its namespace in containerd. Other namespaces and other instances on the machine do not count.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { connectContainerd } from "../../src/containerd/client.js";
import { killProcess } from "../../src/lib/process-identity.js";
import { waitUntil } from "../../src/lib/signal.js";
import { collectGarbage, inventory, testRuntime } from "./containerd.js";

export interface Holder {
  readonly namespace: string;
  readonly dataDir: string;
}

/** By kind, sorted. */
export type Holdings = Readonly<Record<string, readonly string[]>>;

/** Killed processes, unmounts and containerd's own cleaning take a moment after an operation's answer. */
const settleMs = 15_000;

export async function holdingsOf(holder: Holder): Promise<Holdings> {
  const { namespace, dataDir } = holder;
  const shims = shimsOf(namespace);
  const bundles = join(testRuntime().state, "io.containerd.runtime.v2.task", namespace);
  return {
    ...mapValues(await containerdOf(namespace), withoutShared),
    mounts: mountPoints().filter((path) => path.startsWith(`${bundles}/`) || path.startsWith(`${dataDir}/`)),
    shims: withoutShared(shims.map(({ id }) => id)),
    bundles: withoutShared(entriesOf(bundles)),
    runc: entriesOf(join(dataDir, "run/runc", namespace)),
    shimSockets: socketsNotOf(sharedIn(bundles).map((id) => join(bundles, id))),
    cgroups: cgroupsOf(new Set(shims.map(({ pid }) => pid)), othersSandboxes(dataDir)),
    sandboxDirectories: entriesOf(join(dataDir, "sandboxes")),
    checkpointDirectories: entriesOf(join(dataDir, "checkpoints")),
    listening: listeningBelow(dataDir),
    ownConnections: ownConnections(dataDir),
    ownChildren: childrenOf(process.pid),
  };
}

/**
 * Waits a while for what is on its way out, then fails naming each thing that is there in addition. What is seen only
 * now and then belongs to others on the machine, whose empty control groups cannot be told from one's own.
 */
export async function expectNoLeak(holder: Holder, before: Holdings): Promise<void> {
  let leaked = added(before, await holdingsOf(holder));
  await waitUntil(
    "no leaks",
    async () => {
      leaked = common(leaked, added(before, await holdingsOf(holder)));
      return Object.keys(leaked).length === 0;
    },
    { intervalMs: 50, timeoutMs: settleMs },
  ).catch(() => undefined);
  expect(leaked, "leaked").toEqual({});
}

function common(one: Holdings, other: Holdings): Holdings {
  const kinds = Object.entries(one).map(
    ([kind, names]) => [kind, names.filter((name) => other[kind]?.includes(name))] as const,
  );
  return Object.fromEntries(kinds.filter(([, names]) => names.length > 0));
}

/** What is there in addition, by kind; kinds without any are left out. */
export function added(before: Holdings, after: Holdings): Holdings {
  const more = Object.entries(after).map(([kind, names]) => {
    const rest = [...(before[kind] ?? [])];
    const extra = names.filter((name) => {
      const at = rest.indexOf(name);
      if (at >= 0) rest.splice(at, 1);
      return at < 0;
    });
    return [kind, extra] as const;
  });
  return Object.fromEntries(more.filter(([, extra]) => extra.length > 0));
}

/** Shims that sandboxes share come and go in their own time (shims.test.ts); all else of a sandbox has its id. */
const withoutShared = (names: readonly string[]) => names.filter((name) => !/\bshim-/.test(name));
const sharedIn = (bundles: string) => entriesOf(bundles).filter((name) => name.startsWith("shim-"));

const mapValues = (holdings: Holdings, change: (names: readonly string[]) => readonly string[]): Holdings =>
  Object.fromEntries(Object.entries(holdings).map(([kind, names]) => [kind, change(names)]));

/** A shim's socket stands in its bundle. */
function socketsNotOf(bundles: readonly string[]): string[] {
  const known = bundles.map((bundle) => readOr(join(bundle, "bootstrap.json"), ""));
  return entriesOf("/run/containerd/s").filter((socket) => !known.some((text) => text.includes(socket)));
}

async function containerdOf(namespace: string): Promise<Holdings> {
  const containerd = await connectContainerd({ address: testRuntime().address, namespace });
  try {
    await collectGarbage(containerd);
    const tasks = (await containerd.tasks.list()).map(({ id }) => id).sort();
    return { ...(await inventory(containerd)), tasks };
  } finally {
    containerd.close();
  }
}

const mountPoints = (): string[] =>
  readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");

export interface Shim {
  readonly pid: number;
  readonly id: string;
}

/** Those that run for the namespace, each with the id of the task that it was started for. */
export function shimsOf(namespace: string): Shim[] {
  return processes().flatMap((pid) => {
    const argv = readOr(`/proc/${pid}/cmdline`, "").split("\0");
    const flagOf = (flag: string) => argv[argv.indexOf(flag) + 1] ?? "";
    const isShim = /containerd-shim/.test(argv[0] ?? "") && flagOf("-namespace") === namespace;
    return isShim ? [{ pid, id: flagOf("-id") }] : [];
  });
}

const bootstrapOf = (namespace: string, id: string) =>
  join(testRuntime().state, "io.containerd.runtime.v2.task", namespace, id, "bootstrap.json");

/** Kills it without letting it clean up. Its socket's name, which containerd leaves then, is removed here. */
export async function killShim(namespace: string, { pid, id }: Shim): Promise<void> {
  const { address } = JSON.parse(readFileSync(bootstrapOf(namespace, id), "utf8")) as { address: string };
  killProcess(pid);
  await rm(address.replace("unix://", ""), { force: true });
}

/** Until there is none: one that is only beginning, or ending, has no bundle that tells its socket. */
export async function killShims(namespace: string): Promise<void> {
  const timing = { intervalMs: 20, timeoutMs: 60_000 };
  await waitUntil(
    `the end of all shims of ${namespace}`,
    async () => {
      const all = shimsOf(namespace);
      for (const shim of all)
        if (existsSync(bootstrapOf(namespace, shim.id))) await killShim(namespace, shim);
      return all.length === 0 ? true : undefined;
    },
    timing,
  );
}

/** Of instances whose data is beside this one's, or beside its runtime's: by their directories. */
function othersSandboxes(dataDir: string): Set<string> {
  const root = dirname(dataDir);
  const roots = [root, ...directoriesOf(dirname(root)).map((name) => join(dirname(root), name))];
  const instances = roots.flatMap((at) => [at, ...directoriesOf(at).map((name) => join(at, name))]);
  return new Set(instances.filter((at) => at !== dataDir).flatMap((at) => entriesOf(join(at, "sandboxes"))));
}

/** Cgroups of sandboxes that hold a process of one of these shims, or no process at all and are not others'. */
function cgroupsOf(shims: ReadonlySet<number>, others: ReadonlySet<string>): string[] {
  const parents = ["", ...entriesOf("/sys/fs/cgroup")].map((name) => join("/sys/fs/cgroup", name, "ramet"));
  const groups = parents.flatMap((parent) =>
    directoriesOf(parent).flatMap((name) => (others.has(name) ? [] : [join(parent, name)])),
  );
  return groups.filter((group) => {
    const pids = readOr(join(group, "cgroup.procs"), "").split("\n").filter(Boolean).map(Number);
    return pids.length === 0 || pids.some((pid) => hasAncestor(pid, shims));
  });
}

function hasAncestor(pid: number, wanted: ReadonlySet<number>): boolean {
  for (let at = pid; at > 1; at = parentOf(at)) if (wanted.has(at)) return true;
  return false;
}

function parentOf(pid: number): number {
  const stat = readOr(`/proc/${pid}/stat`, "");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? 0);
}

/** Unix sockets bound to a path below the directory. */
const listeningBelow = (directory: string): string[] =>
  readOr("/proc/net/unix", "")
    .split("\n")
    .map((line) => line.split(" ").at(-1) ?? "")
    .filter((path) => path.startsWith(`${directory}/`))
    .sort();

/** Descriptors of this process below the directory, the database's own left out. */
function ownConnections(directory: string): string[] {
  return entriesOf("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(`${directory}/`) && !target.includes("/agent.") ? [target] : [];
    } catch {
      // The directory's own descriptor, or one closed since.
      return [];
    }
  });
}

function childrenOf(parent: number): string[] {
  return processes()
    .filter((pid) => parentOf(pid) === parent)
    .map((pid) => readOr(`/proc/${pid}/cmdline`, "").replaceAll("\0", " ").trim())
    .sort();
}

const processes = (): number[] => entriesOf("/proc").map(Number).filter(Number.isInteger);

const entriesOf = (directory: string): string[] =>
  existsSync(directory) ? readdirSync(directory).sort() : [];

const directoriesOf = (directory: string): string[] =>
  existsSync(directory)
    ? readdirSync(directory, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name)
    : [];

/** What is in /proc and in cgroups comes and goes. */
function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}
