/** Sandboxes of all nodes: as each node describes them; of nodes that do not answer, from the registry's records. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type { ListSandboxesRequest, ListSandboxesResponse, Sandbox } from "../gen/ramet/v1/sandbox_pb.js";
import { isDomainError } from "../lib/errors.js";
import type { HandlerContext } from "../lib/grpc-server.js";
import { mapLimited } from "../lib/limit.js";
import type { NodeView } from "../registry/nodes.js";
import type { GatewayDeps } from "./deps.js";
import { fromRecord, onNode } from "./sandbox-view.js";

const nodesAtOnce = 32;
const nodeMs = 15_000;

export async function listSandboxes(
  deps: GatewayDeps,
  { statuses, labels }: ListSandboxesRequest,
  { metadata, signal }: HandlerContext,
): Promise<Pick<ListSandboxesResponse, "sandboxes">> {
  const caller = await deps.callerOf(metadata);
  const wanted = (sandbox: Sandbox) =>
    (statuses.length === 0 || statuses.includes(sandbox.status)) &&
    Object.entries(labels).every(([name, value]) => sandbox.labels[name] === value);
  const ofNode = async (node: NodeView, _index: number, linked: AbortSignal) => {
    const all = await deps.store.sandboxes.ofNode(node.record.id);
    const seen = all.filter(({ team, state }) => caller.maySee(team) && state.status !== "killing");
    return await describeAll(deps, node, seen, linked);
  };
  const perNode = await mapLimited(deps.nodes.list(), nodesAtOnce, ofNode, signal);
  const sandboxes = perNode.flat().filter(wanted).sort(newestFirst);
  return { sandboxes };
}

async function describeAll(
  { nodes }: GatewayDeps,
  node: NodeView,
  records: readonly OwnedSandbox[],
  signal: AbortSignal,
): Promise<Sandbox[]> {
  if (records.length === 0) return [];
  const byId = new Map(records.map((record) => [record.id, record]));
  try {
    const { sandboxes } = await nodes.api(node.record.id).sandboxes.list({}, { signal, timeoutMs: nodeMs });
    return sandboxes.flatMap((sandbox) => {
      const record = byId.get(sandbox.id);
      return record === undefined ? [] : [onNode(sandbox, record, node)];
    });
  } catch (thrown) {
    // It is not left out: whoever looks for it is told that it is out of reach.
    if (!isDomainError(thrown, "unavailable") && !isDomainError(thrown, "deadline_exceeded")) throw thrown;
    return records.map((record) => fromRecord(record, node));
  }
}

const createdMs = ({ createdAt }: Sandbox): number => (createdAt === undefined ? 0 : timestampMs(createdAt));
const newestFirst = (a: Sandbox, b: Sandbox): number => createdMs(b) - createdMs(a);
