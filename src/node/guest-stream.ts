/**
 * One long stream from a guest that a dump may cut: what had been sent is read to its end whether somebody
 * wants it yet or not, and the stream is set up again when the gate opens.
 */
import { createBell } from "../lib/bell.js";
import { DomainError, isDomainError, toDomainError } from "../lib/errors.js";
import { type LinkedSignal, linkSignals } from "../lib/signal.js";
import type { Turnstile } from "./guest-turnstile.js";
import type { Guest } from "./guests.js";

/** Sets the stream up; `attempt` counts from 0. It resolves once the guest has it, and iterates from there. */
export type OpenStream<T> = (guest: Guest, attempt: number, signal: AbortSignal) => Promise<AsyncIterable<T>>;

/** What a stream needs from its gate. */
export interface StreamGate {
  readonly guest: Guest;
  readonly enter: Turnstile["enter"];
  /** Says why, when the sandbox is gone. */
  explain(thrown: unknown): unknown;
  started(stream: GuestStream): void;
  ended(stream: GuestStream): void;
  /** Something that a GuestStream tells has changed. */
  changed(): void;
}

/** A stream as its gate sees it. */
export interface GuestStream {
  /** The guest is about to close the connection. */
  cut(): void;
  /** The guest has closed it: reads what is left of it without waiting for the consumer. */
  drain(): void;
  /** True until it follows the guest again. */
  isCut(): boolean;
  /** The guest did not close the connection after all. */
  uncut(): void;
  /** True while a connection to the guest is being read. */
  isAttached(): boolean;
  abort(reason: DomainError): void;
}

// More than a socket can hold: a guest that says it has closed and goes on sending is not followed.
const drainedItemsMax = 16_384;
const drainedBytesMax = 8 * 1024 * 1024;

/** Contents that wait for a consumer who is busy: the guest goes on sending meanwhile. */
const aheadBytesMax = 128 * 1024;

/** Nothing is set up before the first `next`. */
export function openStream<T>(gate: StreamGate, open: OpenStream<T>, signal: AbortSignal): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const linked = linkSignals(signal);
      const mailbox = createMailbox<T>();
      let pumping: Promise<void> | undefined;
      return {
        next() {
          pumping ??= pump({ gate, open, mailbox, linked });
          return mailbox.take();
        },
        async return() {
          linked.abort(new DomainError("cancelled", "the reader left"));
          await pumping;
          linked[Symbol.dispose]();
          return { done: true, value: undefined };
        },
      };
    },
  };
}

interface Pumping<T> {
  readonly gate: StreamGate;
  readonly open: OpenStream<T>;
  readonly mailbox: Mailbox<T>;
  readonly linked: LinkedSignal;
}

/** Moves items from the guest to the mailbox until the stream ends; never rejects. */
async function pump<T>({ gate, open, mailbox, linked }: Pumping<T>): Promise<void> {
  const { signal } = linked;
  let is = { cut: false, drained: false, attached: false };
  const become = (change: Partial<typeof is>) => {
    is = { ...is, ...change };
    mailbox.hurry(is.drained);
    gate.changed();
  };

  async function setUp(attempt: number): Promise<AsyncIterable<T>> {
    const place = await gate.enter(attempt > 0, linked.abort, signal);
    try {
      const source = await open(gate.guest, attempt, signal);
      become({ cut: false, drained: false, attached: true });
      return source;
    } finally {
      place.leave();
    }
  }

  /** Gives whether the stream has to be set up again. */
  async function follow(attempt: number): Promise<boolean> {
    const source = await setUp(attempt);
    try {
      for await (const item of source) await mailbox.put(item, signal);
      return false;
    } catch (thrown) {
      if (is.cut && !signal.aborted && isDomainError(thrown, "unavailable")) return true;
      throw thrown;
    } finally {
      become({ attached: false });
    }
  }

  const stream: GuestStream = {
    cut: () => {
      // One that waits for its beginning comes when the gate is open: nobody may wait for it before.
      if (is.attached) become({ cut: true });
    },
    drain: () => become({ drained: true }),
    isCut: () => is.cut,
    uncut: () => become({ cut: false, drained: false }),
    isAttached: () => is.attached,
    abort: linked.abort,
  };
  gate.started(stream);
  try {
    for (let attempt = 0; await follow(attempt); attempt++);
    mailbox.end();
  } catch (thrown) {
    mailbox.end(toDomainError(gate.explain(thrown), "following the sandbox"));
  }
  gate.ended(stream);
  gate.changed();
  linked[Symbol.dispose]();
}

interface Mailbox<T> {
  /** Resolves when there is room for another. */
  put(item: T, signal: AbortSignal): Promise<void>;
  take(): Promise<IteratorResult<T, undefined>>;
  /** While hurried there is room for as much as a socket can hold. */
  hurry(isHurried: boolean): void;
  /** No more will come; a failure is thrown once all has been taken. */
  end(failure?: DomainError): void;
}

function createMailbox<T>(): Mailbox<T> {
  const moved = createBell();
  const items: T[] = [];
  let bytes = 0;
  let isHurried = false;
  let end: { readonly failure: DomainError | undefined } | undefined;
  return {
    async put(item, signal) {
      items.push(item);
      bytes += bytesOf(item);
      moved.ring();
      const isFull = () => items.length > 0 && (bytes === 0 || bytes > aheadBytesMax);
      while (isFull() && !isHurried) await moved.rung(signal);
      if (items.length > drainedItemsMax || bytes > drainedBytesMax) {
        throw new DomainError("internal", "the sandbox's guest goes on sending after it closed");
      }
      signal.throwIfAborted();
    },
    async take() {
      while (items.length === 0 && end === undefined) await moved.rung();
      if (items.length > 0) {
        const [value] = items.splice(0, 1);
        bytes -= bytesOf(value);
        moved.ring();
        return { done: false, value: value as T };
      }
      if (end?.failure !== undefined) throw end.failure;
      return { done: true, value: undefined };
    },
    hurry(hurried) {
      isHurried = hurried;
      moved.ring();
    },
    end(failure) {
      end = { failure };
      moved.ring();
    },
  };
}

/** Items that carry contents carry them as `data`. */
function bytesOf(item: unknown): number {
  const hasData = typeof item === "object" && item !== null && "data" in item;
  return hasData && item.data instanceof Uint8Array ? item.data.length : 0;
}
