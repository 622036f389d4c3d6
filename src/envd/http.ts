/** Answers of the plain routes. */
import type { ServerResponse } from "node:http";
import { cutResponse } from "../lib/cut-response.js";
import { failureBody } from "./failure.js";

export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** An answer that has begun is broken off. */
export function answerFailure(
  response: ServerResponse,
  thrown: unknown,
  body: { readonly code: number; readonly message: string } = failureBody(thrown),
): void {
  if (response.headersSent) {
    cutResponse(response);
    return;
  }
  for (const name of ["Content-Encoding", "Content-Length", "Content-Disposition", "Last-Modified"])
    response.removeHeader(name);
  answerJson(response, body.code, body);
}

/** E2B's answer where there is no sandbox to ask: its clients know it by status and code. */
export const noSandboxBody = (sandbox: string) => ({
  sandboxId: sandbox,
  message: "The sandbox was not found",
  code: 502,
});

export const closedPortBody = ({ sandbox, port }: { readonly sandbox: string; readonly port: number }) => ({
  sandboxId: sandbox,
  message: "The sandbox is running but port is not open",
  port,
  code: 502,
});
