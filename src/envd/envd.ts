/**
 * What E2B's clients talk to in a sandbox: one server for all sandboxes of a node. It listens nowhere: whoever routes
 * requests hands them over, and says whose they are.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createContextValues } from "@connectrpc/connect";
import { compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";
import { Filesystem } from "../gen/e2b/filesystem_pb.js";
import { Process } from "../gen/e2b/process_pb.js";
import { cutResponse, isClosed } from "../lib/cut-response.js";
import { dropBody } from "../lib/drop-body.js";
import { DomainError } from "../lib/errors.js";
import { callKey } from "./call.js";
import type { EnvdCall, EnvdDeps, EnvdTarget, Exchange } from "./deps.js";
import { download } from "./download.js";
import { failureBody, invalid } from "./failure.js";
import { filesystemService } from "./filesystem.js";
import { answerFailure, answerJson, noSandboxBody } from "./http.js";
import { shown } from "./place.js";
import { failedByEnd, isThere, untilGone } from "./presence.js";
import { processService } from "./processes.js";
import { withRootsRights } from "./rights.js";
import { checkAccess, checkToken } from "./signature.js";
import { upload } from "./upload.js";
import { usageBody } from "./usage.js";
import { userOf } from "./user.js";

export interface Envd {
  /** Answers one request. Never rejects. */
  handle(request: IncomingMessage, response: ServerResponse, target: EnvdTarget): Promise<void>;
}

/** The port in a sandbox at which E2B's clients expect envd. */
export const envdPort = 49983;

/** One message of a client. Contents of files go over HTTP. */
const messageBytesMax = 16 * 1024 * 1024;
const keepaliveSecondsDefault = 90;

export function openEnvd({ node, log }: EnvdDeps): Envd {
  const deps: EnvdDeps = { node: { ...node, files: withRootsRights(node.files) }, log };
  const calls = new WeakMap<object, EnvdCall>();
  const serve = connectNodeAdapter({
    routes(router) {
      router.service(Process, processService(deps));
      router.service(Filesystem, filesystemService(deps));
    },
    grpc: false,
    grpcWeb: false,
    // Clients read compressed messages, but do not ask for the work that it is.
    acceptCompression: [compressionGzip],
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    readMaxBytes: messageBytesMax,
    contextValues(request) {
      const call = calls.get(request);
      if (call === undefined) throw new DomainError("internal", "a call of no sandbox");
      return createContextValues().set(callKey, call);
    },
    fallback: (request, response) => {
      const [path = ""] = (request.url ?? "").split("?");
      const body = { message: `there is no ${request.method} ${path.slice(0, 200)}`, path, code: 404 };
      void dropBody(request as IncomingMessage).then(() => answerJson(response as ServerResponse, 404, body));
    },
  });

  async function route(exchange: Exchange, signal: AbortSignal): Promise<void> {
    const { request, response, url, target } = exchange;
    const name = `${request.method} ${url.pathname}`;
    if (name === "GET /health") return void response.writeHead(204).end();
    authorize(exchange, name);
    switch (name) {
      case "GET /files":
        return download(deps, exchange, signal);
      case "POST /files":
        return upload(deps, exchange, signal);
      case "GET /metrics":
        return answerJson(response, 200, await usageBody(node, target.sandbox, signal));
      case "GET /envs":
        return answerJson(response, 200, (await node.sandboxes.get(target.sandbox)).spec.env);
      default:
        checkVersion(request);
        calls.set(request, callOf(deps, exchange));
        await readToTheEnd(request, url);
        serve(request, response);
    }
  }

  return {
    async handle(request, response, target) {
      allowBrowsers(request, response);
      if (request.method === "OPTIONS") return void response.writeHead(204).end();
      try {
        const url = urlOf(request);
        if (!(await isThere(deps, target.sandbox))) {
          await dropBody(request);
          answerJson(response, 502, noSandboxBody(target.sandbox));
          return;
        }
        await route({ request, response, url, target }, signalOf(response));
      } catch (thrown) {
        report(deps, request, thrown);
        if (!response.headersSent) await dropBody(request);
        const isGone = !response.headersSent && (await failedByEnd(deps, target.sandbox, thrown));
        answerFailure(response, thrown, isGone ? noSandboxBody(target.sandbox) : undefined);
      }
    },
  };
}

/** HTTP lets more through than is an address: `//`, say. */
function urlOf({ url = "/" }: IncomingMessage): URL {
  const base = "http://sandbox";
  if (URL.canParse(url, base)) return new URL(url, base);
  throw invalid(`${shown(url)} is no path`);
}

const signedRoutes: Readonly<Record<string, "read" | "write">> = {
  "GET /files": "read",
  "POST /files": "write",
};

function authorize({ request, url, target }: Exchange, name: string): void {
  const token = target.accessToken;
  if (token === undefined) return;
  const given = [request.headers["x-access-token"] ?? []].flat()[0];
  const operation = signedRoutes[name];
  if (operation === undefined) checkToken(token, given);
  else checkAccess(token, { operation, query: url.searchParams, token: given }, new Date());
}

/** The one call with more than one message of the client's, which may have none for long. */
const streamOfClients = "/process.Process/StreamInput";

/**
 * Connect's library leaves a body that it refuses unread, or destroys it. But the connection is for others, too, and many
 * clients take no answer before they have sent all.
 */
async function readToTheEnd(request: IncomingMessage, url: URL): Promise<void> {
  const { "content-type": type = "", "content-length": length } = request.headers;
  // It is refused by its length alone; a stream by that of a message, which is in its body.
  if (!type.startsWith("application/connect+") && Number(length) > messageBytesMax) await dropBody(request);
  async function* body() {
    try {
      yield* request.iterator({ destroyOnReturn: false });
    } finally {
      if (url.pathname !== streamOfClients) await dropBody(request);
    }
  }
  Object.assign(request, { [Symbol.asyncIterator]: body });
}

/** There is one, and naming it is not required (Connect's protocol, "Unary-Request"). */
function checkVersion({ headers }: IncomingMessage): void {
  const version = headers["connect-protocol-version"];
  if (version !== undefined && version !== "1")
    throw invalid(`cannot speak version ${JSON.stringify(version)} of the Connect protocol, only "1"`);
}

function callOf(deps: EnvdDeps, { request, response, target }: Exchange): EnvdCall {
  const { authorization } = request.headers;
  const seconds = Number(request.headers["keepalive-ping-interval"] ?? keepaliveSecondsDefault);
  // Connect's library refuses what is no number.
  const timeoutMs = Number(request.headers["connect-timeout-ms"] ?? Number.NaN);
  const isSane = Number.isFinite(seconds) && seconds >= 1 && seconds <= 3600;
  return {
    sandbox: target.sandbox,
    user: userOf(authorization),
    keepaliveMs: 1000 * (isSane ? seconds : keepaliveSecondsDefault),
    ...(timeoutMs > 0 ? { timeoutMs } : {}),
    async cut() {
      await untilGone(deps, target.sandbox);
      cutResponse(response);
    },
  };
}

/** Programs in browsers ask too. Any origin may: a token is in a header that no browser sends by itself. */
function allowBrowsers(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader("Access-Control-Allow-Origin", "*");
  response.setHeader("Access-Control-Expose-Headers", "*");
  if (request.method !== "OPTIONS") return;
  response.setHeader("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
  response.setHeader(
    "Access-Control-Allow-Headers",
    request.headers["access-control-request-headers"] ?? "*",
  );
  response.setHeader("Access-Control-Max-Age", "7200");
}

function signalOf(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  const leave = () => controller.abort(new DomainError("cancelled", "the client went away"));
  // A stream of HTTP/2 that its client resets is finished, too.
  response.once("close", () => {
    if (!response.writableEnded) leave();
  });
  if (isClosed(response)) leave();
  return controller.signal;
}

function report({ log }: EnvdDeps, { method, url = "" }: IncomingMessage, thrown: unknown): void {
  // Queries have signatures in them.
  const [path = ""] = url.slice(0, 200).split("?");
  if (failureBody(thrown).code >= 500)
    log.warn({ err: thrown, method, path }, "a request to a sandbox failed");
}
