/** The nodes' API over all nodes of a registry: the same services on one port, each call routed by its table. */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type ServerCredentials, status } from "@grpc/grpc-js";
import { CheckpointService } from "../gen/ramet/v1/checkpoint_pb.js";
import { FileService } from "../gen/ramet/v1/file_pb.js";
import { ImageService } from "../gen/ramet/v1/image_pb.js";
import { NodeService } from "../gen/ramet/v1/node_pb.js";
import { ProcessService } from "../gen/ramet/v1/process_pb.js";
import { SandboxService } from "../gen/ramet/v1/sandbox_pb.js";
import { TemplateService } from "../gen/ramet/v1/template_pb.js";
import type { Address } from "../lib/address.js";
import { DomainError } from "../lib/errors.js";
import {
  createServer,
  type HandlerContext,
  type Handlers,
  implementService,
  listen,
  shutDown,
} from "../lib/grpc-server.js";
import { type ApiLog, toStatus } from "../lib/grpc-status.js";
import { quote } from "../lib/ids.js";
import { findFor, type GatewayDeps } from "./deps.js";
import { type Choose, forwarder, nameIn, type Passed } from "./forward.js";
import { ownSandboxes } from "./own-sandboxes.js";
import { ownTemplates } from "./own-templates.js";
import { type Route, routes } from "./routes.js";

export interface ServeGatewayOptions extends GatewayDeps {
  readonly address: Address;
  readonly credentials: ServerCredentials;
  readonly log: ApiLog;
}

const services = {
  ...{ sandboxes: SandboxService, processes: ProcessService, files: FileService },
  ...{ checkpoints: CheckpointService, templates: TemplateService, images: ImageService, node: NodeService },
} as const;
type ServiceName = keyof typeof services;

const ownOf: { readonly [S in ServiceName]?: (deps: GatewayDeps) => object } = {
  sandboxes: ownSandboxes,
  templates: ownTemplates,
};

const graceMs = 1000;
const keepAliveMs = 10_000;

/** Serves until disposed of. Gives the port, which is another than 0 where 0 was asked for. */
export async function serveNodesApi(
  options: ServeGatewayOptions,
): Promise<AsyncDisposable & { readonly port: number }> {
  const { address, credentials, log } = options;
  const server = createServer({ keepAliveMs });
  for (const name of Object.keys(services) as ServiceName[]) addService(name);
  const port = await listen(server, address, credentials);
  return { port, [Symbol.asyncDispose]: () => shutDown(server, graceMs) };

  function addService(name: ServiceName): void {
    const service: DescService = services[name];
    const byMethod: Readonly<Record<string, Route>> = routes[name];
    const own: Readonly<Record<string, unknown>> = { ...ownOf[name]?.(options) };
    const handlers = Object.fromEntries(
      service.methods.map((method) => {
        const route = byMethod[method.localName] ?? notKnown;
        const handler = route.kind === "own" ? own[method.localName] : passing(options, name, method, route);
        return [method.localName, handler];
      }),
    );
    const refusals = new Set(
      service.methods
        .filter(({ localName }) => (byMethod[localName] ?? notKnown).kind === "refused")
        .map((method) => `${service.typeName}/${method.name}`),
    );
    const statusFor = (thrown: unknown, method: string) => {
      const told = toStatus(thrown, method, log);
      const isRefusal = thrown instanceof DomainError && thrown.code === "failed_precondition";
      return isRefusal && refusals.has(method) ? { ...told, code: status.UNIMPLEMENTED } : told;
    };
    const parts = implementService(service, handlers as Handlers<DescService>, statusFor);
    server.addService(parts.definition, parts.implementation);
  }
}

const notKnown: Route = {
  ...{ kind: "refused", code: "failed_precondition" },
  ...{ why: "a registry does not answer this call", hint: "run the command on the node" },
};

function passing(deps: GatewayDeps, service: ServiceName, method: DescMethod, route: Route): unknown {
  const passedBy = (node: Parameters<GatewayDeps["nodes"]["api"]>[0]): Passed => {
    const client = deps.nodes.api(node)[service] as unknown as Readonly<Record<string, Passed>>;
    return (input, options) => client[method.localName]?.(input, options);
  };
  const choose: Choose = async (message: object, { metadata }: HandlerContext) => {
    const caller = await deps.callerOf(metadata);
    if (route.kind === "sandbox")
      return passedBy((await findFor(deps, caller, nameIn(message, "sandbox"))).node);
    if (route.kind === "template") return passedBy(holderOf(deps, nameIn(message, "name")));
    if (route.kind === "refused") throw new DomainError(route.code, route.why, { hint: route.hint });
    throw new DomainError("internal", `${method.name} is not passed on`);
  };
  return forwarder(method, choose);
}

function holderOf({ nodes }: GatewayDeps, template: string) {
  const holder = nodes
    .list()
    .find(
      ({ health, report }) => health === "ready" && report?.templates.some(({ name }) => name === template),
    );
  if (holder !== undefined) return holder.record.id;
  throw new DomainError("not_found", `no ready node has a template ${quote(template)}`, {
    hint: "see `GET /templates`, or build it on a node with `ramet template build`",
  });
}
