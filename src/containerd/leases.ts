/** containerd's leases: they keep what is being made from its garbage collector. */

import { randomUUID } from "node:crypto";
import { Leases as Service } from "../gen/containerd/services/leases/v1/leases_pb.js";
import { type Connection, deadlines, uninterrupted } from "./connection.js";
import { attempt, attemptRemoval, withCleanUp } from "./errors.js";

export interface NewLease {
  readonly id: string;
  /** The lease ends by itself then, so that a crash leaks nothing for ever. */
  readonly expiresAt: Date;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Leases {
  create(lease: NewLease, signal?: AbortSignal): Promise<void>;
  /** `sync` answers after the garbage collector has run. */
  delete(id: string, options?: { sync?: boolean }, signal?: AbortSignal): Promise<void>;
  list(filters: readonly string[], signal?: AbortSignal): Promise<string[]>;
}

export function openLeases(connection: Connection): Leases {
  const calls = connection.service(Service);
  return {
    create: ({ id, expiresAt, labels }, signal) =>
      attempt(`create lease ${id}`, async () => {
        const expiry = { "containerd.io/gc.expire": expiresAt.toISOString() };
        await calls.create({ id, labels: { ...labels, ...expiry } }, uninterrupted(signal));
      }),
    delete: (id, { sync = false } = {}, signal) =>
      attemptRemoval(`delete lease ${id}`, () =>
        calls.delete({ id, sync }, { signal, timeoutMs: deadlines.layer }),
      ),
    list: (filters, signal) =>
      attempt("list leases", async () =>
        (await calls.list({ filters: [...filters] }, { signal })).leases.map(({ id }) => id),
      ),
  };
}

/**
 * Runs the work under a lease of its own. When the work fails, what it left unreferenced is collected before
 * the error goes on; when it succeeds, that happens in containerd's own time.
 */
export async function withLease<T>(
  connection: Connection,
  work: (leased: Connection) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const leases = openLeases(connection);
  const id = `ramet-${randomUUID()}`;
  await leases.create({ id, expiresAt: new Date(Date.now() + 2 * deadlines.transfer) }, signal);
  return await withCleanUp(
    () => work(connection.underLease(id)),
    (failed) => leases.delete(id, { sync: failed }),
  );
}
