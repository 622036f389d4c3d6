/** A thread's core: `core-TID.img` (images/core.proto). Only what filters need. Pure. */
import { damaged } from "../damaged.js";
import {
  bytesField,
  bytesOf,
  type Message,
  numberField,
  numberOf,
  parseMessage,
  serializeMessage,
  withFields,
} from "./message.js";
import { mode, type Thread } from "./seccomp-chain.js";

const field = { machine: 1, task: 3, thread: 5 };
const task = { state: 1, oldMode: 11 };
const thread = { mode: 11, filter: 12 };
const x86 = 1;
const dead = 2;

/** Undefined for a zombie, and for a process of another machine type. */
export function readThread(core: Message, tid: number, name: string): Thread | undefined {
  const taskBytes = bytesOf(core, field.task, name);
  const own = bytesOf(core, field.thread, name);
  if (taskBytes !== undefined) {
    const of = parseMessage(taskBytes, name);
    if (numberOf(of, task.state, name) === dead) return undefined;
    if (numberOf(of, task.oldMode, name) !== undefined)
      throw damaged(name, "it has the filters of a CRIU that is too old");
  }
  if (own === undefined || numberOf(core, field.machine, name) !== x86) return undefined;
  const message = parseMessage(own, name);
  return {
    tid,
    mode: numberOf(message, thread.mode, name) ?? mode.none,
    filter: numberOf(message, thread.filter, name) ?? 0,
  };
}

export function withFilter(core: Message, filter: number, name: string): Buffer {
  const own = bytesOf(core, field.thread, name);
  if (own === undefined) throw damaged(name, "it has no thread");
  const changed = withFields(
    parseMessage(own, name),
    numberField(thread.mode, mode.filter),
    numberField(thread.filter, filter),
  );
  return serializeMessage(withFields(core, bytesField(field.thread, serializeMessage(changed))));
}
