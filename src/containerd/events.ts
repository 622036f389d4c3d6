/** containerd's events about tasks. */
import { setTimeout as delay } from "node:timers/promises";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  TaskCheckpointedSchema,
  TaskDeleteSchema,
  TaskExitSchema,
  TaskOOMSchema,
  TaskPausedSchema,
  TaskResumedSchema,
  TaskStartSchema,
} from "../gen/containerd/events/task_pb.js";
import { Events as Service } from "../gen/containerd/services/events/v1/events_pb.js";
import type { Envelope } from "../gen/containerd/types/event_pb.js";
import type { Connection } from "./connection.js";
import { dateOrEpoch, unpackAny } from "./convert.js";

export type TaskEvent =
  /** A new subscription: what happened before it, or while there was none, has to be looked up. */
  | { readonly kind: "subscribed" }
  | { readonly kind: "started"; readonly id: string; readonly at: Date; readonly pid: number }
  /** Of the init process only. */
  | {
      readonly kind: "exited";
      readonly id: string;
      readonly at: Date;
      readonly pid: number;
      readonly status: number;
    }
  | {
      readonly kind: "deleted" | "oom" | "paused" | "resumed" | "checkpointed";
      readonly id: string;
      readonly at: Date;
    };

export interface Events {
  /**
   * Events of this namespace's tasks, for ever: a broken subscription is taken up again, which a `subscribed`
   * event tells. Ends when the signal is aborted.
   */
  tasks(signal: AbortSignal): AsyncIterable<TaskEvent>;
}

const retryMs = { first: 50, max: 2000 };

export function openEvents(connection: Connection): Events {
  const calls = connection.service(Service);
  const filters = [`namespace==${connection.namespace},topic~="^/tasks/"`];

  async function* subscription(signal: AbortSignal): AsyncGenerator<TaskEvent> {
    const envelopes = calls.subscribe({ filters }, { signal })[Symbol.asyncIterator]();
    // The call goes out before the news, so that what the listener looks up is not older than the stream.
    const first = envelopes.next();
    first.catch(() => {});
    try {
      yield { kind: "subscribed" };
      for (let next = await first; next.done !== true; next = await envelopes.next()) {
        const event = eventOf(next.value);
        if (event !== undefined) yield event;
      }
    } finally {
      await envelopes.return?.();
    }
  }

  return {
    async *tasks(signal) {
      for (let waitMs = retryMs.first; !signal.aborted; waitMs = Math.min(waitMs * 2, retryMs.max)) {
        try {
          for await (const event of subscription(signal)) {
            yield event;
            if (event.kind !== "subscribed") waitMs = retryMs.first;
          }
        } catch {
          // Whatever broke it, the answer is the same: look up and listen again.
        }
        await delay(waitMs, undefined, { signal }).catch(() => {});
      }
    },
  };
}

function eventOf({ timestamp, event }: Envelope): TaskEvent | undefined {
  return event === undefined
    ? undefined
    : (lifeEvent(event, dateOrEpoch(timestamp)) ?? plainEvent(event, dateOrEpoch(timestamp)));
}

function lifeEvent(event: Any, at: Date): TaskEvent | undefined {
  const started = unpackAny(event, TaskStartSchema);
  if (started !== undefined) return { kind: "started", id: started.containerId, at, pid: started.pid };
  const exited = unpackAny(event, TaskExitSchema);
  if (exited === undefined || exited.id !== exited.containerId) return undefined;
  return { kind: "exited", id: exited.containerId, at, pid: exited.pid, status: exited.exitStatus };
}

const plainEvents = [
  ["deleted", TaskDeleteSchema],
  ["oom", TaskOOMSchema],
  ["paused", TaskPausedSchema],
  ["resumed", TaskResumedSchema],
  ["checkpointed", TaskCheckpointedSchema],
] as const;

function plainEvent(event: Any, at: Date): TaskEvent | undefined {
  for (const [kind, schema] of plainEvents) {
    const id = unpackAny(event, schema)?.containerId;
    if (id !== undefined) return { kind, id, at };
  }
  return undefined;
}
