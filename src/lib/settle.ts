/** Waiting for several things that run side by side. */

/**
 * As Promise.all, but a failure is thrown only once everything has ended: what is undone next must not still be
 * written to. The first failure, in the order of the arguments, is thrown.
 */
export async function settleAll<T extends readonly unknown[]>(
  ...work: T
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const results = await Promise.allSettled(work);
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  }) as { -readonly [K in keyof T]: Awaited<T[K]> };
}
