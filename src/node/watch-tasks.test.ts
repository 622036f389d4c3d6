import { expect, it } from "vitest";
import type { TaskEvent } from "../containerd/events.js";
import { DomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import type { Deps } from "./deps.js";
import { watchTasks } from "./watch-tasks.js";

it("goes on when what an event calls for cannot be done", async () => {
  const [unlucky, other] = [randomId(), randomId()];
  const recorded: (string | undefined)[] = [];
  const deps = {
    log: { warn() {}, error() {} },
    shims: { review: () => Promise.reject(new DomainError("unavailable", "containerd is away")) },
    record(_type: string, { sandbox }: { readonly sandbox?: string }) {
      if (sandbox === unlucky) throw new DomainError("resource_exhausted", "the disk is full");
      recorded.push(sandbox);
    },
  };
  async function* events(): AsyncGenerator<TaskEvent> {
    yield { kind: "subscribed" };
    for (const id of [unlucky, other]) yield { kind: "oom", id, at: new Date(0) };
  }
  await watchTasks(deps as unknown as Deps, events());
  expect(recorded).toEqual([other]);
});
