import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Server, ServerCredentials, status } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TaskExitSchema, TaskOOMSchema } from "../gen/containerd/events/task_pb.js";
import { Events as Service } from "../gen/containerd/services/events/v1/events_pb.js";
import { createServer, implementService } from "../lib/grpc-server.js";
import { openConnection } from "./connection.js";
import { packAny } from "./convert.js";
import { openEvents, type TaskEvent } from "./events.js";

let directory: string;
let socket: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ramet-events-"));
  socket = join(directory, "events.sock");
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Serves one out-of-memory event and then fails, as a containerd that is being stopped does. */
async function serveOnce(filters: string[][]): Promise<Server> {
  const server = createServer();
  const { definition, implementation } = implementService(
    Service,
    {
      async *subscribe(request) {
        filters.push(request.filters);
        yield { namespace: "ns", topic: "/tasks/oom", event: packAny(TaskOOMSchema, { containerId: "s1" }) };
        // An exit of a process other than init is nobody's business here.
        yield {
          namespace: "ns",
          topic: "/tasks/exit",
          event: packAny(TaskExitSchema, { containerId: "s1", id: "exec" }),
        };
        throw new Error("stopping");
      },
    },
    () => ({ code: status.UNAVAILABLE, details: "stopping" }),
  );
  server.addService(definition, implementation);
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix://${socket}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    ),
  );
  return server;
}

test("subscribes again for ever, says so each time, and ends quietly", async () => {
  const filters: string[][] = [];
  const stop = new AbortController();
  const connection = openConnection({ address: socket, namespace: "ns" });
  const seen: TaskEvent["kind"][] = [];
  let server: Server | undefined;
  for await (const event of openEvents(connection).tasks(stop.signal)) {
    seen.push(event.kind);
    // The first subscription finds nobody listening yet.
    server ??= await serveOnce(filters);
    if (seen.filter((kind) => kind === "oom").length === 2) stop.abort();
  }
  expect(seen.filter((kind) => kind === "oom")).toHaveLength(2);
  expect(seen.lastIndexOf("subscribed")).toBeGreaterThan(seen.indexOf("oom"));
  expect(seen).not.toContain("exited");
  expect(filters[0]).toEqual(['namespace==ns,topic~="^/tasks/"']);
  connection.close();
  server?.forceShutdown();
});
