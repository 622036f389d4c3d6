/**
 * A sandbox's writable layer holds the host's ids (0 inside is 100000 on disk); layers underneath an idmapped
 * overlay hold the ids as seen inside. This turns the first form into the second, in place.
 */
import { chmodSync, lchownSync, lstatSync, readdirSync, type Stats } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { childOf } from "../lib/byte-path.js";

export interface IdRange {
  /** First host id. */
  readonly base: number;
  readonly size: number;
}

const perTurn = 256;
/** Of stat(2), whatever the filesystem. */
const blockBytes = 512;

/**
 * Subtracts the base from every owner below `root`, itself included, that lies in the range. Running it twice
 * changes nothing more. The set-id bits, which chown(2) clears, are put back. Gives what all of it takes on disk.
 */
export async function unshiftOwners(
  root: string,
  range: IdRange,
  signal?: AbortSignal,
): Promise<{ sizeBytes: number }> {
  const pending: Buffer[] = [Buffer.from(root)];
  const linked = new Set<number>();
  let done = 0;
  let blocks = 0;
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stat = unshiftOne(path, range);
    if (stat.isDirectory()) for (const name of readdirSync(path, "buffer")) pending.push(childOf(path, name));
    if (stat.nlink < 2 || stat.isDirectory() || !linked.has(stat.ino)) blocks += stat.blocks;
    if (stat.nlink > 1) linked.add(stat.ino);
    if (++done % perTurn === 0) {
      signal?.throwIfAborted();
      await setImmediate();
    }
  }
  return { sizeBytes: blocks * blockBytes };
}

/** Gives what it was before. */
function unshiftOne(path: Buffer, { base, size }: IdRange): Stats {
  const stat = lstatSync(path);
  const inside = (id: number) => (id >= base && id < base + size ? id - base : id);
  const uid = inside(stat.uid);
  const gid = inside(stat.gid);
  if (uid !== stat.uid || gid !== stat.gid) {
    lchownSync(path, uid, gid);
    if ((stat.mode & 0o6000) !== 0 && !stat.isSymbolicLink()) chmodSync(path, stat.mode & 0o7777);
  }
  return stat;
}
