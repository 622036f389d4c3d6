/** Who this node is to its registry: kept in `<data_dir>/membership/`, root's alone. */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { TlsIdentity } from "../authority/credentials.js";
import { identityOf, nodeOf } from "../authority/identity.js";
import { newKey } from "../authority/keys.js";
import { writeFileAtomic } from "../lib/atomic-file.js";
import { DomainError } from "../lib/errors.js";

export interface NodeIdentity {
  readonly node: string;
  readonly tls: TlsIdentity;
}

/** One file, so that an identity is whole or absent; the key is there before anybody has signed for it. */
const identitySchema = z.strictObject({
  version: z.literal(1),
  certificate: z.string(),
  authority: z.string(),
});

export const membershipDirectory = (dataDir: string): string => join(dataDir, "membership");
const keyPath = (directory: string) => join(directory, "node.key");
const identityPath = (directory: string) => join(directory, "identity.json");

/** Undefined before the first join. */
export async function readIdentity(directory: string): Promise<NodeIdentity | undefined> {
  const path = identityPath(directory);
  const text = await readOr(path);
  if (text === undefined) return undefined;
  const key = await readOr(keyPath(directory));
  const damaged = (why: string, cause?: unknown) =>
    new DomainError("failed_precondition", `cannot be the node that this was: ${why}`, {
      cause,
      hint: `move ${directory} away and join again with a new token`,
    });
  if (key === undefined) throw damaged(`${keyPath(directory)} is missing`);
  try {
    const { certificate, authority } = identitySchema.parse(JSON.parse(text));
    const identity = identityOf(certificate);
    const node = identity === undefined ? undefined : nodeOf(identity);
    if (node === undefined) throw new DomainError("internal", "its certificate names no node");
    return { node, tls: { key, certificate, authority } };
  } catch (cause) {
    throw damaged(`${path} cannot be read`, cause);
  }
}

/** The key that a join has made before, or a new one. */
export async function readOrMakeKey(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await readOr(keyPath(directory));
  if (found !== undefined) return found;
  const made = await newKey();
  await writeFileAtomic(keyPath(directory), made);
  return made;
}

export async function writeIdentity(
  directory: string,
  { certificate, authority }: Pick<TlsIdentity, "certificate" | "authority">,
): Promise<void> {
  const text = `${JSON.stringify({ version: 1, certificate, authority }, null, 2)}\n`;
  await writeFileAtomic(identityPath(directory), text);
}

async function readOr(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}
