/** Random bytes for many small secrets and ids: the kernel is asked once for some hundred of them. */
import { randomFillSync } from "node:crypto";

const pool = Buffer.alloc(8192);
let taken = pool.length;

/** From the system's generator, each byte given once. */
export function someBytes(count: number): Buffer {
  if (count > pool.length) return randomFillSync(Buffer.alloc(count));
  if (taken + count > pool.length) {
    randomFillSync(pool);
    taken = 0;
  }
  const bytes = Buffer.from(pool.subarray(taken, taken + count));
  // What was given is nobody's to find here.
  pool.fill(0, taken, taken + count);
  taken += count;
  return bytes;
}
