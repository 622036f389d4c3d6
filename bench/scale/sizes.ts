/** Which sizes of sources this machine can measure. Pure. */

export const sizesMib = [16, 256, 1024, 4096] as const;

export interface Room {
  readonly memoryMib: number;
  readonly diskMib: number;
}

export interface Choice {
  readonly sizes: readonly number[];
  /** Which were left out, and why. */
  readonly leftOut: readonly string[];
}

/** The agent, the others, a hundred clones. */
const baseMib = 2048;

/** Where podman takes part and a source is cold there are copies of the memory. */
export const isContested = (sizeMib: number) => sizeMib === 16 || sizeMib === 1024;

export function chooseSizes(maxSizeMib: number, { memoryMib, diskMib }: Room): Choice {
  const sizes: number[] = [];
  const leftOut: string[] = [];
  let [memory, disk] = [baseMib, baseMib];
  for (const size of sizesMib) {
    // Memory: the shared pages; a bare dump of it all on a tmpfs at worst; copies of podman and of the cold source.
    memory += size * (isContested(size) ? 4 : 1.3);
    // Disk: the golden checkpoint, one beside it, exports of podman.
    disk += size * (isContested(size) ? 6 : 2.5);
    if (size > maxSizeMib) leftOut.push(`${size} MiB: larger than --max-size ${maxSizeMib}`);
    else if (memory > memoryMib)
      leftOut.push(
        `${size} MiB: needs ${Math.round(memory)} MiB of memory, there are ${Math.round(memoryMib)}`,
      );
    else if (disk > diskMib)
      leftOut.push(`${size} MiB: needs ${Math.round(disk)} MiB of disk, there are ${Math.round(diskMib)}`);
    else sizes.push(size);
  }
  return { sizes, leftOut };
}
