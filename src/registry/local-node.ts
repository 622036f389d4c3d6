/** The agent of the registry's own process as a node: called and reporting without a wire. */
import type { NodeId, NodeNews, NodeRecord } from "../fleet/node.js";
import type { Clock } from "../lib/clock.js";
import { randomId } from "../lib/ids.js";
import type { Logger } from "../lib/log.js";
import { delay } from "../lib/signal.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import type { OpenLocalApi } from "./member.js";
import type { OpenNodes } from "./open-nodes.js";

export interface LocalNode {
  readonly name: string;
  readonly version: string;
  readonly openApi: OpenLocalApi;
  /** News until the signal aborts: at once with everything, and again when the whole inventory is asked for. */
  readonly openReports: (signal: AbortSignal) => {
    readonly news: AsyncIterable<NodeNews>;
    askInventory(): void;
  };
}

export interface LocalDeps {
  readonly store: { readonly nodes: Pick<RegistryStore["nodes"], "insert"> };
  readonly nodes: Pick<OpenNodes, "list" | "add" | "begin">;
  readonly now: Clock;
  readonly log: Logger;
}

const pauseMs = 1000;

/** Recorded at the first start; reports until disposed of. */
export async function reportLocally(local: LocalNode, deps: LocalDeps): Promise<AsyncDisposable> {
  const id = await recordOf(local, deps);
  const stopping = new AbortController();
  const { signal } = stopping;
  const reporting = (async () => {
    while (!signal.aborted) {
      await reportOnce(id, local, deps, signal).catch((err: unknown) => {
        if (!signal.aborted) deps.log.warn({ err, node: id }, "the agent of this process does not report");
      });
      await delay(pauseMs, signal).catch(() => {});
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort(new Error("the registry is stopping"));
      await reporting;
    },
  };
}

async function recordOf({ name }: LocalNode, { store, nodes, now }: LocalDeps): Promise<NodeId> {
  const found = nodes.list().find(({ record }) => record.certificate === "");
  if (found !== undefined) return found.record.id;
  const at = now();
  const record: NodeRecord = {
    ...{ id: randomId() as NodeId, name, address: "", certificate: "" },
    ...{ joinedAt: at, isCordoned: false, seenAt: at },
  };
  await store.nodes.insert(record);
  nodes.add(record);
  return record.id;
}

async function reportOnce(
  id: NodeId,
  { openReports, version }: LocalNode,
  { nodes }: LocalDeps,
  signal: AbortSignal,
): Promise<void> {
  const ending = new AbortController();
  const reports = openReports(AbortSignal.any([signal, ending.signal]));
  using reporting = nodes.begin(
    id,
    { instance: "local", version, address: "", peer: "this process" },
    {
      askInventory: reports.askInventory,
      tellImposter: () => {},
      end: (reason) => ending.abort(reason),
    },
  );
  for await (const news of reports.news) reporting.hear(news);
}
