/** Calls that are the registry's to decide: placement, limits and ownership are its own, and no node is asked past it. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type {
  CreateSandboxRequest,
  ForkResponseSchema,
  Sandbox,
  SandboxService,
} from "../gen/ramet/v1/sandbox_pb.js";
import { DomainError } from "../lib/errors.js";
import type { HandlerContext, Handlers } from "../lib/grpc-server.js";
import { settleLimited } from "../lib/limit.js";
import type { CreateOptions } from "../registry/registry.js";
import { findFor, type GatewayDeps } from "./deps.js";
import { listSandboxes } from "./list-sandboxes.js";
import { onNode } from "./sandbox-view.js";

type Own = Pick<
  Handlers<typeof SandboxService>,
  "create" | "get" | "list" | "fork" | "pause" | "resume" | "delete"
>;

/** What a sandbox that was made without one is given; it is paused then, so that nothing is lost. */
const timeoutMs = 24 * 60 * 60 * 1000;
const lookingUpAtOnce = 16;

export function ownSandboxes(deps: GatewayDeps): Own {
  const { sandboxes } = deps.registry;
  return {
    list: (request, context) => listSandboxes(deps, request, context),
    fork: (request, context) => fork(deps, request, context),
    async create(request, { metadata, signal }) {
      const caller = await deps.callerOf(metadata);
      const startedAt = performance.now();
      const made = await sandboxes.create(await caller.team(), parseCreate(request), signal);
      const durationMs = Math.round(performance.now() - startedAt);
      const sandbox = await describe(deps, made, signal);
      return { sandbox, durationMs };
    },
    async get(request, { metadata, signal }) {
      const found = await findFor(deps, await deps.callerOf(metadata), request.sandbox);
      return { sandbox: await describe(deps, found, signal) };
    },
    async pause(request, context) {
      const { found, team } = await asked(deps, request, context);
      const startedAt = performance.now();
      await sandboxes.pause(team, found.id, { keepsMemory: !request.withoutMemory }, context.signal);
      const durationMs = Math.round(performance.now() - startedAt);
      const sandbox = await describe(deps, found, context.signal);
      return { sandbox, durationMs, memoryBytes: await pausedBytes(deps, found, sandbox, context.signal) };
    },
    async resume(request, context) {
      const { found, team } = await asked(deps, request, context);
      const startedAt = performance.now();
      const { withoutMemory } = request;
      const options = { timeoutMs: found.timeoutMs, mustBePaused: true, withoutMemory };
      await sandboxes.connect(team, found.id, options, context.signal);
      const durationMs = Math.round(performance.now() - startedAt);
      return { sandbox: await describe(deps, found, context.signal), durationMs };
    },
    async delete(request, context) {
      const { found, team } = await asked(deps, request, context);
      if (!request.force)
        throw new DomainError(
          "failed_precondition",
          `cannot delete sandbox ${found.id}: it is ${found.state.status}`,
          { hint: "use --force to end it" },
        );
      await sandboxes.kill(team, found.id);
      return {};
    },
  };
}

/** The team is the sandbox's own, also where the operator asks. */
async function asked(
  deps: GatewayDeps,
  { sandbox }: { readonly sandbox: string },
  { metadata }: HandlerContext,
) {
  const found = await findFor(deps, await deps.callerOf(metadata), sandbox);
  return { found, team: await deps.store.teams.get(found.team) };
}

async function describe({ nodes }: GatewayDeps, record: OwnedSandbox, signal: AbortSignal): Promise<Sandbox> {
  const { sandbox } = await nodes.api(record.node).sandboxes.get({ sandbox: record.id }, { signal });
  if (sandbox === undefined)
    throw new DomainError("internal", `node ${record.node} answered without a sandbox`);
  return onNode(sandbox, record, nodes.get(record.node));
}

async function pausedBytes(
  { nodes }: GatewayDeps,
  { node }: OwnedSandbox,
  { checkpoint: id }: Sandbox,
  signal: AbortSignal,
): Promise<bigint> {
  if (id === "") return 0n;
  const { checkpoint } = await nodes.api(node).checkpoints.get({ checkpoint: id }, { signal });
  return checkpoint?.memoryBytes ?? 0n;
}

function parseCreate(request: CreateSandboxRequest): CreateOptions {
  const { source, name, limits, user, cwd, allowPrivilegeEscalation, labels, env } = request;
  if (source.case === undefined) throw refusal("a sandbox needs a template or a snapshot");
  if (source.case === "image" || limits !== undefined || user !== "" || cwd !== "")
    throw refusal("a registry creates from templates and snapshots, with the limits and the user of these");
  if (allowPrivilegeEscalation) throw refusal("privilege escalation is chosen when a template is built");
  if (name !== "") throw refusal("a registry gives sandboxes no names", "use a label: --label name=…");
  return {
    ...{ source: source.value, timeoutMs, metadata: labels, env },
    onTimeout: { kind: "pause", keepsMemory: true, resumesOnTraffic: false },
    ...{ isSecured: true, isTrafficPrivate: false, allowInternetAccess: true },
  };
}

function refusal(message: string, hint = "build a template of it on nodes"): DomainError {
  return new DomainError("invalid_argument", message, { hint });
}

type ForkEvent = MessageInitShape<typeof ForkResponseSchema>;

/** The registry records clones together, so they come together: after the last of them. */
async function* fork(
  deps: GatewayDeps,
  request: Parameters<Own["fork"]>[0],
  context: HandlerContext,
): AsyncGenerator<ForkEvent> {
  const { count, namePrefix, labels, env } = request;
  if (namePrefix !== "" || Object.keys(labels).length > 0 || Object.keys(env).length > 0)
    throw refusal("clones over a registry have no names, labels or variables of their own", "leave them out");
  const { found, team } = await asked(deps, request, context);
  const startedAt = performance.now();
  const events: ForkEvent[] = [];
  const results = await deps.registry.sandboxes.fork(
    team,
    found.id,
    {
      ...{ count, timeoutMs: found.timeoutMs },
      onTaken: (value) => void events.push({ event: { case: "taken", value } }),
    },
    context.signal,
  );
  yield* events;
  const durationMs = performance.now() - startedAt;
  const look = async (result: (typeof results)[number]) =>
    result.ok ? await describe(deps, result.sandbox, context.signal) : undefined;
  const views = await settleLimited(results, lookingUpAtOnce, look);
  for (const [index, result] of results.entries()) {
    const view = views[index];
    const sandbox = view?.status === "fulfilled" ? view.value : undefined;
    const error = result.ok ? view?.status === "rejected" && view.reason : result.error;
    const value =
      sandbox === undefined
        ? ({ case: "error", value: errorInit(error) } as const)
        : ({ case: "sandbox", value: sandbox } as const);
    yield { event: { case: "clone", value: { index, result: value, durationMs } } };
  }
}

function errorInit(thrown: unknown) {
  if (!(thrown instanceof DomainError)) return { code: "internal", message: String(thrown), hint: "" };
  return { code: thrown.code, message: thrown.message, hint: thrown.hint ?? "" };
}
