/** Gives memory files names in another directory: each sandbox and each checkpoint has those of all that it needs. */
import { linkSync, statSync } from "node:fs";
import { join } from "node:path";
import { DomainError } from "../../lib/errors.js";

/** Hard links, which may be there already. A file stays until the last directory lets go of it. */
export async function linkMemory(fromDir: string, toDir: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (!/^[A-Za-z0-9][\w.-]*$/.test(name))
      throw new DomainError("invalid_argument", `${JSON.stringify(name)} is not the name of a memory file`);
    linkOne(join(fromDir, name), join(toDir, name), name);
  }
}

function linkOne(from: string, to: string, name: string): void {
  try {
    linkSync(from, to);
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (code === "EEXIST" && isSameFile(from, to)) return;
    throw linkError(code, name, thrown);
  }
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [statSync(one), statSync(other)];
  return a.ino === b.ino && a.dev === b.dev;
}

function linkError(code: unknown, name: string, cause: unknown): unknown {
  switch (code) {
    case "EMLINK":
      return new DomainError("resource_exhausted", `the memory file ${name} has too many names`, {
        cause,
        hint: "delete sandboxes or checkpoints that come from the same checkpoint",
      });
    case "EEXIST":
      return new DomainError("already_exists", `another memory file is named ${name}`, { cause });
    case "ENOENT":
      return new DomainError("failed_precondition", `the memory file ${name} is missing`, {
        cause,
        hint: "restore another checkpoint",
      });
    case "EXDEV":
      return new DomainError("failed_precondition", `the memory file ${name} is on another filesystem`, {
        cause,
        hint: "keep checkpoints and sandboxes below one data directory",
      });
    default:
      return cause;
  }
}
