/**
 * Reading of /proc and of control groups, whose entries come and go with their processes. ENODEV: a control group
 * was removed between the opening of its file and the access.
 */
const absences: ReadonlySet<string | undefined> = new Set(["ENOENT", "ESRCH", "ENODEV"]);

/** Undefined for what has gone in the meantime. */
export async function present<T>(access: Promise<T>): Promise<T | undefined> {
  try {
    return await access;
  } catch (thrown) {
    if (absences.has((thrown as NodeJS.ErrnoException).code)) return undefined;
    throw thrown;
  }
}
