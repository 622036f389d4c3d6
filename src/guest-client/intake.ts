/**
 * Reading a socket into large buffers of our own: by itself Node takes 64 KiB for each read and gives back what was not
 * filled, which for much data costs more than the reading.
 */
import type { OnReadOpts, Socket } from "node:net";

export interface Intake {
  /** For `connect`. From then on the socket has nothing to read by itself; it still says when it has ended. */
  readonly onread: OnReadOpts;
  /** The next bytes that have arrived, if any. */
  read(socket: Socket): Buffer | undefined;
  /** Bytes that wait to be read. */
  bytes(): number;
  /** Called whenever bytes have arrived. */
  onNews(wake: () => void): void;
}

const firstBytes = 64 * 1024;
/** More than the kernel holds for a unix socket by default (`net.core.wmem_default`). */
const mostBytes = 256 * 1024;
/** Fewer are copied, so that whoever sends little at a time cannot fill the memory with buffers that are mostly empty. */
const keptShare = 4;

/** Holds at most some 512 KiB. */
export function createIntake(): Intake {
  const arrived: Buffer[] = [];
  let bytes = 0;
  let size = firstBytes;
  let buffer: Buffer | undefined;
  let wake = () => {};

  function take(full: Buffer, count: number): Buffer {
    if (count * keptShare < full.length) return Buffer.from(full.subarray(0, count));
    buffer = undefined;
    if (count === full.length) size = mostBytes;
    return full.subarray(0, count);
  }

  return {
    onread: {
      buffer: () => (buffer ??= Buffer.allocUnsafeSlow(size)),
      callback(count) {
        if (buffer !== undefined && count > 0) arrived.push(take(buffer, count));
        bytes += count;
        wake();
        return bytes < mostBytes;
      },
    },
    read(socket) {
      const next = arrived.shift();
      if (next === undefined) return undefined;
      bytes -= next.length;
      if (arrived.length === 0) socket.resume();
      return next;
    },
    bytes: () => bytes,
    onNews(awake) {
      wake = awake;
    },
  };
}
