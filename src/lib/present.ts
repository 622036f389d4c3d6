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
    return absent(thrown);
  }
}

/** The same without a wait: what the kernel answers from memory takes less time than asking a thread for it. */
export function presentSync<T>(access: () => T): T | undefined {
  try {
    return access();
  } catch (thrown) {
    return absent(thrown);
  }
}

function absent(thrown: unknown): undefined {
  if (!absences.has((thrown as NodeJS.ErrnoException).code)) throw thrown;
}
