/** The one key that may administer a registry: a file beside its database, made at the first start. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { writeFileAtomic } from "../lib/atomic-file.js";
import { DomainError } from "../lib/errors.js";

/** Whether a request's `Authorization` carries the key. */
export type IsAdmin = (authorization: string | undefined) => boolean;

const keyPattern = /^rma_[0-9a-f]{40}$/;

/** Reads the key at `path`, or makes one there (mode 0600). Refuses a file that others could read, or that holds no key. */
export async function openAdminKey(path: string): Promise<IsAdmin> {
  const key = (await readKey(path)) ?? (await makeKey(path));
  const expected = digest(`Bearer ${key}`);
  return (authorization) => timingSafeEqual(digest(authorization ?? ""), expected);
}

async function readKey(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0)
      throw new DomainError("failed_precondition", `others than its owner may use the admin key ${path}`, {
        hint: `chmod 600 ${path}; remove it if it may have been read, and the next start makes another`,
      });
    const key = (await readFile(path, "utf8")).trim();
    if (keyPattern.test(key)) return key;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
  throw new DomainError("failed_precondition", `${path} holds no admin key`, {
    hint: "remove it, and the next start makes another",
  });
}

async function makeKey(path: string): Promise<string> {
  const key = `rma_${randomBytes(20).toString("hex")}`;
  await writeFileAtomic(path, `${key}\n`);
  return key;
}

// Of one length, whatever was sent.
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
