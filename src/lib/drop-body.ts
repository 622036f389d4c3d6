/** The body of a request that is answered without it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { hasBody } from "./http-message.js";

const longestMs = 60_000;

/**
 * Reads what is left of it, and waits for its end, if not for long. Many clients read no answer before they have sent all;
 * Node's over HTTP/2 take none on the whole connection while they still have more than 10 MB to send.
 */
export function dropBody(request: IncomingMessage): Promise<void> {
  if (!hasBody(request) || request.readableEnded || request.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, longestMs);
    const ended = () => {
      clearTimeout(timer);
      resolve();
    };
    request.once("end", ended).once("close", ended).once("error", ended);
    // Whoever it was piped to may be gone, and would hold it back when that is noticed.
    request.unpipe();
    // Whoever reads pieces of it holds it back until he has got the next one; it flows then for who listens for all.
    request.on("data", () => {});
    request.resume();
  });
}

/**
 * For each request of a server. What is left of a body when it is answered would hold up whoever is next on the connection;
 * Node itself reads it where nobody has begun to, and nowhere else.
 */
export function dropAfterAnswer(request: IncomingMessage, response: ServerResponse): void {
  if (hasBody(request)) response.once("finish", () => void dropBody(request));
}
