/** The agent's words for what a sandbox is doing. */
import { SandboxStatus as StatusMessage } from "../gen/ramet/v1/sandbox_pb.js";
import { DomainError } from "../lib/errors.js";
import type { SandboxStatus } from "../sandbox/state.js";

const statuses: Readonly<Partial<Record<StatusMessage, SandboxStatus>>> = {
  [StatusMessage.CREATING]: "creating",
  [StatusMessage.RUNNING]: "running",
  [StatusMessage.CHECKPOINTING]: "checkpointing",
  [StatusMessage.PAUSING]: "pausing",
  [StatusMessage.PAUSED]: "paused",
  [StatusMessage.RESUMING]: "resuming",
  [StatusMessage.STOPPING]: "stopping",
  [StatusMessage.STOPPED]: "stopped",
  [StatusMessage.FAILED]: "failed",
};

/** Throws `internal` for one that this registry does not know. */
export function statusOf(message: StatusMessage): SandboxStatus {
  const status = statuses[message];
  if (status !== undefined) return status;
  throw new DomainError("internal", `a node has a sandbox in status ${message}, which is not known here`);
}
