/**
 * The way into sandboxes from outside: a request is told by its host or headers which sandbox and port it is for, may
 * wake the sandbox, and is handed to whoever reaches it.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { NodeId } from "../fleet/node.js";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type { HttpExchange } from "../lib/carry-http.js";
import type { UpgradeExchange } from "../lib/carry-upgrade.js";
import { isClosed } from "../lib/cut-response.js";
import { dropBody } from "../lib/drop-body.js";
import { toDomainError } from "../lib/errors.js";
import { hasBody } from "../lib/http-message.js";
import { httpStatusOf } from "../lib/http-status.js";
import type { Logger } from "../lib/log.js";
import { isSameText } from "../lib/same-text.js";
import type { Interceptor } from "../registry/front.js";
import type { Traffic } from "../registry/traffic.js";
import { type Answer, answer, answerOnSocket, closedTo, notFound } from "./answers.js";
import { type Address, addressOf } from "./host.js";

/** Carries what is for a sandbox of one node there. */
export interface Carrier {
  request(exchange: HttpExchange, target: Target): void;
  upgrade(exchange: UpgradeExchange, target: Target): void;
}

export interface Target extends Address {
  /** Of its envd; absent where everybody may ask. */
  readonly accessToken?: string;
  /** What servers in it see as the host, in place of the client's. */
  readonly host?: string;
}

export interface GatewayDeps {
  readonly traffic: Traffic;
  /** `unavailable`: the node cannot be reached. */
  readonly carrierOf: (node: NodeId) => Carrier;
  readonly log: Pick<Logger, "warn">;
}

/** Where a mask of the host has the port. */
const portMark = ["$", "{PORT}"].join("");
/** Its port in every sandbox. */
const envdPort = 49983;
/** What envd answers for itself is for the node alone. */
const internalPaths = ["/init", "/freeze", "/unfreeze", "/collapse", "/fsfreeze", "/fsthaw", "/upgrade"];

export function openGateway(deps: GatewayDeps): Interceptor {
  return {
    request(request, response) {
      const address = addressOf(request.headers);
      if (address === undefined) return false;
      void find(deps, address, request, response).then(async (found) => {
        if ("status" in found) await dropBody(request);
        if (isClosed(response)) return;
        if ("status" in found) answer(request, response, found);
        else found.carrier.request({ request, response }, found.target);
      });
      return true;
    },
    upgrade(request, socket, head) {
      const address = addressOf(request.headers);
      if (address === undefined || staysInHttp(request)) return false;
      // Whoever carries it listens too.
      socket.on("error", () => {});
      void find(deps, address, request, socket).then((found) => {
        if (socket.destroyed) return;
        if ("status" in found) answerOnSocket(socket, found);
        else found.carrier.upgrade({ request, socket, head }, found.target);
      });
      return true;
    },
  };
}

/** HTTP/2 without TLS is not spoken here, as its clients expect of many; and what has a body is a request before anything. */
function staysInHttp(request: IncomingMessage): boolean {
  const offers = (request.headers.upgrade ?? "").split(",").map((offer) => offer.trim().toLowerCase());
  return hasBody(request) || offers.every((offer) => offer === "h2c");
}

type Found = { readonly carrier: Carrier; readonly target: Target } | Answer;

/** Never rejects. Nothing of the body has been read. */
async function find(
  deps: GatewayDeps,
  address: Address,
  request: IncomingMessage,
  client: ServerResponse | Duplex,
): Promise<Found> {
  try {
    return await reach(deps, address, request, client);
  } catch (thrown) {
    const { code, message } = toDomainError(thrown, "the sandbox cannot be reached");
    if (!isClosed(client) && code !== "unavailable")
      deps.log.warn({ err: thrown, sandbox: address.sandbox }, "a request did not reach its sandbox");
    const status = httpStatusOf[code];
    return { status, body: { sandboxId: address.sandbox, message, code: status } };
  }
}

async function reach(
  { traffic, carrierOf }: GatewayDeps,
  address: Address,
  request: IncomingMessage,
  client: ServerResponse | Duplex,
): Promise<Found> {
  const known = await traffic.find(address.sandbox);
  if (known === undefined) return notFound(address);
  const refused = refuse(known, address, request);
  if (refused !== undefined) return refused;
  // Who may not ask does not wake it.
  const sandbox = known.state.status === "running" ? known : await wake(traffic, known, client);
  if (sandbox === undefined) return notFound(address);
  return { carrier: carrierOf(sandbox.node), target: targetOf(sandbox, address) };
}

/** For as long as whoever wants it is there. */
async function wake(
  traffic: Traffic,
  known: OwnedSandbox,
  client: ServerResponse | Duplex,
): Promise<OwnedSandbox | undefined> {
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  client.once("close", leave);
  if (isClosed(client)) leave();
  try {
    return await traffic.reach(known, leaving.signal);
  } finally {
    client.off("close", leave);
  }
}

function refuse(sandbox: OwnedSandbox, address: Address, request: IncomingMessage): Answer | undefined {
  const { accessToken, trafficToken } = sandbox;
  if (address.port !== envdPort) {
    const given = header(request, "e2b-traffic-access-token");
    if (trafficToken === undefined || isSameText(given, trafficToken)) return undefined;
    return closedTo(address);
  }
  const [path = ""] = (request.url ?? "").split("?");
  if (internalPaths.includes(path))
    return { status: 404, body: { message: `there is no ${path} here`, path, code: 404 } };
  // envd itself looks at tokens and signatures; but who shows neither the token nor a signature wakes nothing.
  if (sandbox.state.status !== "paused" || accessToken === undefined || path === "/health") return undefined;
  if (isSameText(header(request, "x-access-token"), accessToken) || /[?&]signature=/.test(request.url ?? ""))
    return undefined;
  return { status: 401, body: { code: 401, message: "unauthorized access to a sandbox that is paused" } };
}

function targetOf({ accessToken, network }: OwnedSandbox, address: Address): Target {
  const host = address.port === envdPort ? undefined : maskOf(network);
  return {
    ...address,
    ...(accessToken === undefined ? {} : { accessToken }),
    ...(host === undefined ? {} : { host: host.replaceAll(portMark, String(address.port)) }),
  };
}

/** The edge that took it has checked it. */
function maskOf(network: unknown): string | undefined {
  const isObject = typeof network === "object" && network !== null && "maskRequestHost" in network;
  return isObject && typeof network.maskRequestHost === "string" ? network.maskRequestHost : undefined;
}

function header({ headers }: IncomingMessage, name: string): string {
  return [headers[name] ?? ""].flat()[0] ?? "";
}
