/** A sandbox as its node describes it, with what the registry knows better; or from the registry's record alone. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import { type Sandbox, SandboxSchema, SandboxStatus } from "../gen/ramet/v1/sandbox_pb.js";
import type { NodeView } from "../registry/nodes.js";

/** Labels are those that were asked for: a node has the registry's own instead. */
export function onNode(sandbox: Sandbox, { metadata }: OwnedSandbox, { record }: NodeView): Sandbox {
  return create(SandboxSchema, { ...sandbox, labels: { ...metadata }, node: record.name });
}

/** Of one whose node does not answer: as far as its record says. */
export function fromRecord(sandbox: OwnedSandbox, { record }: NodeView): Sandbox {
  const { id, startedAt, alias, template, metadata, cpus, memoryBytes } = sandbox;
  return create(SandboxSchema, {
    ...{ id, labels: { ...metadata }, node: record.name, status: SandboxStatus.LOST },
    statusSince: timestampFromDate(record.seenAt),
    createdAt: timestampFromDate(startedAt),
    origin: { kind: "template", template: alias ?? template },
    limits: { cpus, memoryBytes: BigInt(memoryBytes) },
  });
}
