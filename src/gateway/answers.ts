/** E2B's answers where a request reaches nothing. Its clients decide by status, `code` and message. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Address } from "./host.js";

export interface Answer {
  readonly status: number;
  readonly body: { readonly message: string; readonly code: number } & Readonly<Record<string, unknown>>;
}

/** Unknown, deleted, or paused for good. */
export function notFound({ sandbox }: Address): Answer {
  const body = { sandboxId: sandbox, message: "The sandbox was not found", code: 502 };
  return { status: 502, body };
}

export function closedTo({ sandbox }: Address): Answer {
  const message = "The sandbox's ports are for those who have its traffic access token";
  return { status: 403, body: { sandboxId: sandbox, message, code: 403 } };
}

export function answer(request: IncomingMessage, response: ServerResponse, { status, body }: Answer): void {
  const isPage = isNavigation(request);
  const text = isPage ? page(status, body.message) : JSON.stringify(body);
  response.writeHead(status, {
    "Content-Type": isPage ? "text/html; charset=utf-8" : "application/json; charset=utf-8",
    "Content-Length": Buffer.byteLength(text),
    "Access-Control-Allow-Origin": "*",
    ...(isPassing(status) ? { "Retry-After": "1" } : {}),
  });
  response.end(text);
}

/** It may be another in a moment: the team's limit, a node that is away. */
const isPassing = (status: number) => status === 429 || status === 503;

const reasons: Readonly<Record<number, string>> = {
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  429: "Too Many Requests",
  502: "Bad Gateway",
  503: "Service Unavailable",
};

export function answerOnSocket(socket: Duplex, { status, body }: Answer): void {
  const text = JSON.stringify(body);
  const head = [
    `HTTP/1.1 ${status} ${reasons[status] ?? "Error"}`,
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(text)}`,
    "Connection: close",
    ...(isPassing(status) ? ["Retry-After: 1"] : []),
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${text}`);
}

/** Somebody looks at it in a browser. */
function isNavigation({ headers }: IncomingMessage): boolean {
  const accept = headers.accept ?? "";
  return headers["sec-fetch-mode"] === "navigate" && !accept.includes("application/json");
}

function page(status: number, message: string): string {
  const plain = message.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<!doctype html><meta charset="utf-8"><title>${status}</title><p>${plain}.</p>\n`;
}
