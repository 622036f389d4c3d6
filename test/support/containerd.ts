/** The private containerd that tests run against; `scripts/runtime exec` and `scripts/test` name it. */
import { join } from "node:path";
import { type Containerd, connectContainerd, type Nouns } from "../../src/containerd/client.js";
import { labels } from "../../src/node/deps.js";

export interface TestRuntime {
  /** Socket of the containerd. */
  readonly address: string;
  /** Its state directory, below which are the bundles. */
  readonly state: string;
  /** Directory for files of the tests. */
  readonly root: string;
  readonly prefix: string;
  /** OCI archive with python3, node, bash, coreutils, procps, nc, jemalloc and mimalloc. */
  readonly image: string;
}

/** Fails with the name of the variable that is missing. */
export function testRuntime(): TestRuntime {
  const run = required("RAMET_RUN");
  return {
    address: join(run, "containerd/containerd.sock"),
    state: join(run, "containerd"),
    root: required("RAMET_ROOT"),
    prefix: required("RAMET_PREFIX"),
    image: required("RAMET_TEST_IMAGE"),
  };
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "")
    throw new Error(`${name} is not set: run the tests with scripts/test, or inside scripts/runtime exec`);
  return value;
}

/** Connects in a namespace of the test's own and empties it first, whatever an earlier run left there. */
export async function connectForTest(namespace: string, keep: readonly string[] = []): Promise<Containerd> {
  const containerd = await connectContainerd({ address: testRuntime().address, namespace });
  await emptyNamespace(containerd, keep);
  return containerd;
}

/** Removes every task, container, snapshot and image of the namespace, but for images of these names. */
export async function emptyNamespace(containerd: Containerd, keep: readonly string[] = []): Promise<void> {
  const shims = await containerd.sharedShims.list(labels.shim);
  for (const { id } of await containerd.tasks.list()) if (!shims.includes(id)) await endTask(containerd, id);
  // Ended before those in it, a shim would run for ever.
  for (const id of shims) await containerd.sharedShims.delete(id);
  for (const { id } of await containerd.containers.list([])) await containerd.containers.delete(id);
  for (const key of await leavesFirst(containerd)) await containerd.snapshots.remove(key);
  for (const { name } of await containerd.images.records([]))
    if (!keep.includes(name)) await containerd.images.delete(name);
  for (const id of await containerd.leases.list([])) await containerd.leases.delete(id);
  await collectGarbage(containerd);
}

export async function endTask({ tasks }: Pick<Containerd, "tasks">, id: string): Promise<void> {
  const exited = tasks.wait(id, AbortSignal.timeout(20_000)).catch(() => undefined);
  await tasks.resume(id).catch(() => undefined);
  await tasks.kill(id, { signalNumber: 9, all: true }).catch(() => undefined);
  await exited;
  await tasks.delete(id);
}

/** Snapshots of our own; those of images go with the garbage collector. */
async function leavesFirst({ snapshots }: Containerd): Promise<string[]> {
  const all = await snapshots.list(['labels."containerd.io/gc.root"']);
  const depthOf = (key: string): number => {
    const snapshot = all.find((it) => it.key === key);
    return snapshot === undefined ? 0 : 1 + depthOf(snapshot.parent);
  };
  return all.map(({ key }) => key).sort((a, b) => depthOf(b) - depthOf(a));
}

export async function collectGarbage({ leases }: Pick<Nouns, "leases">): Promise<void> {
  await leases.create({ id: "collect", expiresAt: new Date(Date.now() + 60_000) });
  await leases.delete("collect", { sync: true });
}

/** What containerd keeps in the namespace, for a comparison of before and after. */
export async function inventory(containerd: Containerd) {
  const keys = (of: readonly { key: string }[]) => of.map(({ key }) => key).sort();
  const digests = (of: readonly { digest: string }[]) => of.map(({ digest }) => digest).sort();
  return {
    images: (await containerd.images.records([])).map(({ name }) => name).sort(),
    blobs: digests(await containerd.content.list([])),
    snapshots: keys(await containerd.snapshots.list([])),
    containers: (await containerd.containers.list([])).map(({ id }) => id).sort(),
    leases: await containerd.leases.list([]),
  };
}

/** Polls until the condition holds; fails with the description after the deadline. */
export async function until(
  description: string,
  holds: () => Promise<boolean>,
  deadlineMs = 20_000,
): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${description}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
