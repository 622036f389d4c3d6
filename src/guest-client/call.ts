/** One operation on one connection: a request, then frames both ways, every wait bounded. */
import type { Socket } from "node:net";
import { toDomainError } from "../lib/errors.js";
import { connectSocket } from "./connect.js";
import { disconnected, misbehaved } from "./errors.js";
import {
  createFrameParser,
  encodeFrame,
  encodeHeader,
  type Frame,
  type GuestFrameType,
  guestFrame,
  type HostFrameType,
  hostFrame,
  payloadBytesMax,
} from "./frame.js";
import { createIntake } from "./intake.js";
import { createLink, deadlineAfter, type Link } from "./link.js";
import { decode, readError } from "./replies.js";
import type { FieldReader } from "./wire.js";

/** Where a guest listens, and how long it may take. */
export interface GuestAddress {
  readonly socketPath: string;
  /** Bound of connecting and of answers that need no work. */
  readonly replyMs: number;
  /** Bound of an answer, or of the next piece of one, where files are worked on or helpers waited for. */
  readonly workMs: number;
}

export interface Operation {
  readonly request: Uint8Array;
  /** For messages: `cannot read /etc/hosts`. */
  readonly what: string;
  /** Much will arrive; such a call cannot be detached. */
  readonly isBulk?: boolean;
}

export interface SendOptions {
  /** Bound of each wait for room; none if absent. */
  readonly withinMs?: number;
  /** Gives up as soon as the guest has said something, for operations in which that can only be a refusal. */
  readonly untilNews?: boolean;
}

export interface Call {
  /**
   * The next frame; undefined when the guest has closed. An ERROR frame, a broken protocol, an abort and a wait
   * over `withinMs` (none if absent) are thrown, and close the connection.
   */
  next(withinMs?: number): Promise<Frame | undefined>;
  /** The contents of the next frame, which has to be of this type. */
  expect<T>(type: GuestFrameType, read: (reader: FieldReader) => T, withinMs?: number): Promise<T>;
  /** Ends framing: bytes after the last frame, as they have arrived, and otherwise as `next`. */
  nextBytes(withinMs?: number): Promise<Buffer | undefined>;
  /** True once the guest has said something or has closed. */
  hasNews(): boolean;
  /** Sends data in frames of a legal size and waits until the socket has room. */
  send(type: HostFrameType, data?: Uint8Array, options?: SendOptions): Promise<void>;
  /** Ends framing: gives the socket away, with bytes that came after the last frame put back into it. */
  detach(): Socket;
  close(): void;
}

/** Connects, sends the request and gives the connection as a Call. Aborting makes it fail and close. */
export async function openCall(
  address: GuestAddress,
  operation: Operation,
  signal: AbortSignal,
): Promise<Call> {
  const { what, isBulk = false } = operation;
  const intake = isBulk ? createIntake() : undefined;
  const { socketPath, replyMs: timeoutMs } = address;
  try {
    const socket = await connectSocket(socketPath, { timeoutMs, onread: intake?.onread }, signal);
    const link = createLink(socket, what, signal, intake);
    link.write(encodeFrame(hostFrame.request, operation.request));
    return createCall(link, what);
  } catch (error) {
    throw toDomainError(error, what);
  }
}

/** An operation whose whole answer is one OK frame. */
export async function callOnce<T>(
  address: GuestAddress,
  operation: Operation,
  read: (reader: FieldReader) => T,
  signal: AbortSignal,
  withinMs = address.replyMs,
): Promise<T> {
  const call = await openCall(address, operation, signal);
  try {
    return await call.expect(guestFrame.ok, read, withinMs);
  } finally {
    call.close();
  }
}

function createCall(link: Link, what: string): Call {
  const parser = createFrameParser();

  function arrived(): Frame | undefined {
    for (;;) {
      const frame = parser.next();
      if (frame !== undefined) return frame;
      const chunk = link.read();
      if (chunk === undefined) return undefined;
      parser.push(chunk);
    }
  }

  async function next(withinMs?: number): Promise<Frame | undefined> {
    const frame = await whenThere(link, arrived, withinMs);
    if (frame?.type === guestFrame.error) throw readError(frame.payload, what);
    return frame;
  }

  const arrivedBytes = () => (parser.bufferedBytes() > 0 ? parser.takeRest() : link.read());

  function close(): void {
    const socket = link.release();
    socket.on("error", () => {});
    socket.destroy();
  }

  async function closingOnFailure<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      close();
      throw error;
    }
  }

  return {
    next: (withinMs) => closingOnFailure(() => next(withinMs)),
    expect: (type, read, withinMs) =>
      closingOnFailure(async () => {
        const frame = await next(withinMs);
        if (frame === undefined) throw disconnected(what);
        if (frame.type !== type) throw misbehaved(`a frame 0x${frame.type.toString(16)} out of place`);
        return decode(frame.payload, read);
      }),
    nextBytes: (withinMs) => closingOnFailure(() => whenThere(link, arrivedBytes, withinMs)),
    hasNews: () => parser.bufferedBytes() > 0 || link.hasNews(),
    send: (type, data = new Uint8Array(0), options = {}) =>
      closingOnFailure(() => sendFrames(link, type, data, options)),
    detach() {
      const socket = link.release();
      const rest = parser.takeRest();
      if (rest.length > 0) socket.unshift(rest);
      return socket;
    },
    close,
  };
}

/** What has arrived, as `look` finds it; undefined at the end. */
async function whenThere<T>(
  link: Link,
  look: () => T | undefined,
  withinMs: number | undefined,
): Promise<T | undefined> {
  const deadline = deadlineAfter(withinMs);
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    const failure = link.failure();
    if (failure !== undefined) throw failure;
    // The guest may be cut off in the middle of a frame, by a dump say: the rest of it is dropped.
    if (link.hasEnded()) return undefined;
    await link.news(deadline);
  }
}

async function sendFrames(
  link: Link,
  type: HostFrameType,
  data: Uint8Array,
  options: SendOptions,
): Promise<void> {
  const isRefused = () => options.untilNews === true && link.hasNews();
  const isOver = () => link.failure() !== undefined || link.hasEnded() || isRefused();
  let at = 0;
  do {
    if (isRefused()) return;
    link.assertOpen();
    const payload = data.subarray(at, at + payloadBytesMax);
    link.write(encodeHeader(type, payload.length), payload);
    at += payloadBytesMax;
    const deadline = deadlineAfter(options.withinMs);
    while (link.needsDrain() && !isOver()) await link.news(deadline);
  } while (at < data.length);
}
