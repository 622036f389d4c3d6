/**
 * Shims that several containers share. containerd runs a container in the shim of another task when its record
 * names that task and containerd's store of "sandboxes", its word for such a group, knows the name; no process is
 * started for it then (containerd 2.1.9, core/runtime/v2/shim_manager.go). The task that holds the shim is a
 * restore that is never begun: it has no process and no mounts.
 */
import { Store } from "../gen/containerd/services/sandbox/v1/sandbox_pb.js";
import { type Connection, uninterrupted } from "./connection.js";
import { type Containers, runtime } from "./containers.js";
import { attempt, attemptRemoval } from "./errors.js";
import type { NewTask, Tasks } from "./tasks.js";

export interface NewShim extends Pick<NewTask, "runc" | "runcRoot"> {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface SharedShims {
  /** Starts a shim for containers to join. When that fails, `delete` removes what there is of it. */
  create(shim: NewShim, signal?: AbortSignal): Promise<void>;
  /** Ends the shim. To be called once no task is in it any more: with others in it, it would run for ever. */
  delete(id: string, signal?: AbortSignal): Promise<void>;
  /** Ids of those with the label, whether they live or not. */
  list(label: string, signal?: AbortSignal): Promise<string[]>;
}

export function openSharedShims(
  connection: Connection,
  { containers, tasks }: { readonly containers: Containers; readonly tasks: Tasks },
): SharedShims {
  const calls = connection.service(Store);
  return {
    async create({ id, labels, ...oci }, signal) {
      await attempt(`record shim ${id}`, () =>
        calls.create({ sandbox: { sandboxId: id, runtime, labels: { ...labels } } }, uninterrupted(signal)),
      );
      await containers.create({ id, image: "", spec: emptySpec, snapshotKey: "", labels }, signal);
      await tasks.create({ id, rootfs: [], ...oci, restoreFrom: nothing }, signal);
    },
    async delete(id, signal) {
      await attemptRemoval(`end shim ${id}`, () => tasks.delete(id, signal));
      await containers.delete(id, signal);
      await attemptRemoval(`forget shim ${id}`, () => calls.delete({ sandboxId: id }, { signal }));
    },
    list: (label, signal) =>
      attempt("list shims", async () => {
        const { list } = await calls.list({ filters: [`labels."${label}"`] }, { signal });
        return list.map(({ sandboxId }) => sandboxId);
      }),
  };
}

const emptySpec = { ociVersion: "1.2.0", root: { path: "rootfs" }, linux: {} };

/** Never looked at, as nothing is ever started. */
const nothing = { imagesDirectory: "/nonexistent", workDirectory: "" };
