/** Breaking an answer off, in both versions of HTTP. */
import type { ServerResponse } from "node:http";
import { constants, type Http2ServerResponse } from "node:http2";
import type { Duplex } from "node:stream";

/**
 * Ends it so that nobody takes it for whole. Over HTTP/1.1 the connection is closed; over HTTP/2 the stream is reset,
 * and clients tell an internal error from an orderly end.
 */
export function cutResponse(response: ServerResponse | Http2ServerResponse): void {
  if ("stream" in response) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else response.destroy();
}

/** Whether nobody hears it any more. HTTP/2's answers do not say it as HTTP/1.1's do. */
export const isClosed = (client: ServerResponse | Http2ServerResponse | Duplex): boolean =>
  "stream" in client ? client.stream.destroyed || client.stream.closed : client.destroyed;
