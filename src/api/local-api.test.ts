import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import type { Node } from "../node/node.js";
import { openLocalApi } from "./local-api.js";

it("carries more calls at once than Node takes for a leak, and ends them all", async () => {
  const warnings: string[] = [];
  const warn = ({ name }: Error) => void warnings.push(name);
  process.on("warning", warn);
  const node = { info: () => new Promise(() => {}) } as unknown as Node;
  const local = openLocalApi(node, { error: () => {} }, { timeoutMs: 10_000, refuse: () => undefined });
  const calls = Promise.allSettled(Array.from({ length: 30 }, () => local.api.node.info({})));
  await nextTurn();
  local[Symbol.dispose]();
  const failures = (await calls).map((call) => call.status === "rejected" && call.reason.code);
  process.off("warning", warn);
  expect(new Set(failures)).toEqual(new Set(["unavailable"]));
  expect(warnings).toEqual([]);
});
