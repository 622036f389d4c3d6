/**
 * The records of sandboxes, and what is kept in memory about them: every change goes through here, so that whoever
 * follows them (time-outs, usage of teams, metrics) never misses one.
 */
import type { OwnedSandbox } from "../fleet/sandbox.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import type { OwnedSandboxes } from "../registry-store/registry-store.js";

/** Undefined: the record is gone. */
export type OwnedListener = (id: string, sandbox: OwnedSandbox | undefined) => void;

export function openOwned(store: OwnedSandboxes, onChange: OwnedListener): OwnedSandboxes {
  return {
    ...store,
    async insert(sandboxes, request) {
      await writing(() => store.insert(sandboxes, request));
      for (const sandbox of sandboxes) onChange(sandbox.id, sandbox);
    },
    async update(id, change) {
      const sandbox = await writing(() => store.update(id, change));
      onChange(id, sandbox);
      return sandbox;
    },
    async delete(id) {
      await writing(() => store.delete(id));
      onChange(id, undefined);
    },
  };
}

/** A full disk is the registry's trouble, not the asker's. */
export async function writing<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (thrown) {
    if (!isDomainError(thrown, "resource_exhausted")) throw thrown;
    throw new DomainError("unavailable", `the registry cannot write: ${thrown.message}`, {
      cause: thrown,
      hint: "what was acknowledged is safe; the registry's disk needs room",
    });
  }
}
