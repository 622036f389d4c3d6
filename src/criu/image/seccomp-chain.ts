/**
 * The filters of a dump and which thread has which: `seccomp.img` and the threads' cores. A thread names the filter
 * that is installed first, and each names the next one (criu/seccomp.c). Pure.
 */
import { damaged } from "../damaged.js";
import {
  allBytesOf,
  bytesField,
  bytesOf,
  type Field,
  type Message,
  numberField,
  numberOf,
  parseMessage,
  serializeMessage,
  withFields,
} from "./message.js";

export const mode = { none: 0, strict: 1, filter: 2 } as const;

/** Flags of seccomp(2). A dump has lost all but `log`; CRIU adds `tsync` where threads have the same filters. */
export const filterFlags = { tsync: 1, log: 2, newListener: 8, tsyncEsrch: 16, waitKillable: 32 } as const;

export interface Thread {
  readonly tid: number;
  readonly mode: number;
  /** Index of its first filter. */
  readonly filter: number;
}

export interface Filter {
  readonly program: Buffer;
  readonly next: number | undefined;
  readonly flags: number;
  readonly message: Message;
}

const filtersField = 1;
const field = { program: 1, next: 2, flags: 3 };

export function readFilters(image: Message, name: string): Filter[] {
  return allBytesOf(image, filtersField, name).map((bytes) => {
    const message = parseMessage(bytes, name);
    const program = bytesOf(message, field.program, name);
    if (program === undefined) throw damaged(name, "a filter has no program");
    const next = numberOf(message, field.next, name);
    return { program, next, flags: numberOf(message, field.flags, name) ?? 0, message };
  });
}

export function newFilter(program: Buffer, flags: number, next: number | undefined): Filter {
  const fields = [
    bytesField(field.program, program),
    ...(next === undefined ? [] : [numberField(field.next, next)]),
    numberField(field.flags, flags),
  ];
  return { program, next, flags, message: fields };
}

export function withFlags(filter: Filter, flags: number): Filter {
  return { ...filter, flags, message: withFields(filter.message, numberField(field.flags, flags)) };
}

export function withProgram(filter: Filter, program: Buffer): Filter {
  return { ...filter, program, message: withFields(filter.message, bytesField(field.program, program)) };
}

/** The image with these filters, and with whatever else it had. */
export function writeFilters(image: Message, filters: readonly Filter[]): Buffer {
  const others = image.filter(({ number }) => number !== filtersField);
  const written: Field[] = filters.map(({ message }) => bytesField(filtersField, serializeMessage(message)));
  return serializeMessage([...written, ...others]);
}

/** The indexes of a thread's filters, in the order in which they are installed. */
export function chainOf(filters: readonly Filter[], thread: Thread, name: string): number[] {
  const chain: number[] = [];
  for (let at: number | undefined = thread.filter; at !== undefined; ) {
    const filter: Filter | undefined = filters[at];
    if (filter === undefined || chain.length === filters.length)
      throw damaged(name, `thread ${thread.tid} has filters that are not there`);
    chain.push(at);
    at = filter.next;
  }
  return chain;
}
