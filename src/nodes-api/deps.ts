/** What calls over all nodes work with. */
import type { Metadata } from "@grpc/grpc-js";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import { DomainError } from "../lib/errors.js";
import { isId, quote } from "../lib/ids.js";
import type { Nodes } from "../registry/nodes.js";
import type { Registry } from "../registry/registry.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import type { Caller } from "./callers.js";

export interface GatewayDeps {
  readonly registry: Pick<Registry, "sandboxes">;
  readonly store: {
    readonly sandboxes: Pick<RegistryStore["sandboxes"], "find" | "ofNode">;
    readonly teams: Pick<RegistryStore["teams"], "get">;
  };
  readonly nodes: Pick<Nodes, "list" | "get" | "api">;
  readonly callerOf: (metadata: Metadata) => Promise<Caller>;
}

/** `not_found`: there is none, it is another team's, or it is being deleted. `unavailable`: its node is lost. */
export async function findFor({ store }: GatewayDeps, caller: Caller, ref: string): Promise<OwnedSandbox> {
  const found = isId(ref) ? await store.sandboxes.find(ref) : undefined;
  if (found === undefined || !caller.maySee(found.team) || found.state.status === "killing")
    throw new DomainError("not_found", `sandbox ${quote(ref)} not found`, {
      hint: "a registry knows sandboxes by their whole ids: see `ramet ps` with the same --registry",
    });
  return found;
}
