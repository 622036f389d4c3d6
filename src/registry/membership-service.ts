/** The port that nodes join and report at. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Server } from "@grpc/grpc-js";
import type { Authority } from "../authority/authority.js";
import { serverCredentials } from "../authority/credentials.js";
import { identityOf, nodeOf } from "../authority/identity.js";
import { checkProtocol, protocol } from "../authority/protocol.js";
import type { NodeId, NodeNews } from "../fleet/node.js";
import {
  MembershipService,
  type ReportRequest,
  type ReportResponseSchema,
} from "../gen/ramet/v1/membership_pb.js";
import type { Address } from "../lib/address.js";
import { createBell } from "../lib/bell.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import {
  createServer,
  type HandlerContext,
  type Handlers,
  implementService,
  listen,
  shutDown,
} from "../lib/grpc-server.js";
import { toStatus } from "../lib/grpc-status.js";
import { interruptible } from "../lib/interruptible.js";
import { linkSignals } from "../lib/signal.js";
import { type JoinDeps, joinNode } from "./join-node.js";
import { type OpenNodes, removed } from "./open-nodes.js";
import { openInventoryParts, parseHello, parseLoad, parseStock } from "./parse-report.js";

export interface ServeNodesOptions extends JoinDeps {
  readonly authority: Authority;
  readonly nodes: OpenNodes;
  readonly address: Address;
}

const graceMs = 1000;
const keepAliveMs = 5000;

/** Serves until disposed of. Gives the port, which is another than 0 where 0 was asked for. */
export async function serveNodes(
  options: ServeNodesOptions,
): Promise<AsyncDisposable & { readonly port: number }> {
  const { authority, address, log } = options;
  const server: Server = createServer({ keepAliveMs });
  const status = (thrown: unknown, method: string) => toStatus(thrown, method, log);
  const { definition, implementation } = implementService(MembershipService, handlers(options), status);
  server.addService(definition, implementation);
  const port = await listen(server, address, serverCredentials(authority.registry));
  return { port, [Symbol.asyncDispose]: () => shutDown(server, graceMs) };
}

function handlers(deps: ServeNodesOptions): Handlers<typeof MembershipService> {
  return {
    async join(request) {
      checkProtocol("the agent", request.protocol);
      const { node, certificate } = await joinNode(deps, request);
      return { protocol, nodeId: node, certificate };
    },
    report: (requests, context) => report(deps, requests, context),
  };
}

type Response = MessageInitShape<typeof ReportResponseSchema>;

/** Answers whenever there is something to say; ends with an error, or when the agent goes away. */
async function* report(
  { nodes }: ServeNodesOptions,
  requests: AsyncIterable<ReportRequest>,
  { signal, peer, peerCertificate }: HandlerContext,
): AsyncGenerator<Response> {
  const id = nodeIdOf(nodes, peerCertificate());
  using ending = linkSignals(signal);
  const mailbox = openMailbox();
  const hearing = hearAll(interruptible(requests, ending.signal), (hello) => {
    checkProtocol("the agent", hello.protocol);
    const reporting = nodes.begin(
      id,
      { ...hello, peer },
      {
        askInventory: () => mailbox.put({ message: { case: "askInventory", value: {} } }),
        tellImposter: (from) => mailbox.put({ message: { case: "imposter", value: { peer: from } } }),
        end: (reason) => ending.abort(reason),
      },
    );
    mailbox.put({ message: { case: "welcome", value: { protocol } } });
    return reporting;
  });
  // What ends the hearing ends the answering.
  void hearing.catch((thrown: unknown) => ending.abort(thrown)).then(() => ending.abort(ended()));
  try {
    yield* mailbox.taken(ending.signal);
  } finally {
    ending.abort(ended());
    await hearing.catch(() => {});
  }
}

const ended = () => new DomainError("cancelled", "the stream of reports has ended");

function nodeIdOf(nodes: OpenNodes, peerCertificate: Buffer | undefined): NodeId {
  const identity = peerCertificate === undefined ? undefined : identityOf(peerCertificate);
  const id = (identity === undefined ? undefined : nodeOf(identity)) as NodeId | undefined;
  if (identity === undefined || id === undefined)
    throw new DomainError(
      "unauthenticated",
      "only a node of this registry reports to it, and shows its certificate",
    );
  try {
    if (nodes.get(id).record.certificate === identity.serial) return id;
  } catch (thrown) {
    if (!isDomainError(thrown, "not_found")) throw thrown;
  }
  throw removed();
}

type Begin = (hello: ReturnType<typeof parseHello>) => Disposable & { hear(news: NodeNews): void };

async function hearAll(requests: AsyncIterable<ReportRequest>, begin: Begin): Promise<void> {
  let reporting: ReturnType<Begin> | undefined;
  const together = openInventoryParts();
  try {
    for await (const { hello, load, stock, inventory } of requests) {
      reporting ??= begin(parseHello(hello));
      const sandboxes = inventory === undefined ? undefined : together(inventory);
      reporting.hear({
        load: parseLoad(load),
        ...(stock === undefined ? {} : { stock: parseStock(stock) }),
        ...(sandboxes === undefined ? {} : { inventory: sandboxes }),
      });
    }
  } finally {
    reporting?.[Symbol.dispose]();
  }
}

/** More is not waited for by anybody who reads. */
const waitingMax = 16;

function openMailbox() {
  const bell = createBell();
  let waiting: Response[] = [];
  return {
    put(response: Response): void {
      const { message } = response;
      if (waiting.length >= waitingMax || waiting.some((other) => other.message?.case === message?.case))
        return;
      waiting.push(response);
      bell.ring();
    },
    async *taken(signal: AbortSignal): AsyncGenerator<Response> {
      for (;;) {
        const taken = waiting;
        waiting = [];
        yield* taken;
        if (waiting.length === 0) await bell.rung(signal);
      }
    },
  };
}
