/** The end of a file that may be of any length. */
import { open } from "node:fs/promises";

/** The last `bytesMax` bytes as text; empty when the file cannot be read. */
export async function readTail(path: string, bytesMax: number): Promise<string> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const length = Math.min(size, bytesMax);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString("utf8", 0, bytesRead);
  } catch {
    return "";
  }
}
