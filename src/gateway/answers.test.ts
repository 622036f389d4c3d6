import type { IncomingMessage, ServerResponse } from "node:http";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { answer, answerOnSocket } from "./answers.js";

const answerOf = (status: number) => ({ status, body: { message: "not now", code: status } });

function headersOf(status: number): Record<string, unknown> {
  let headers: Record<string, unknown> = {};
  const response = {
    writeHead: (_status: number, given: Record<string, unknown>) => {
      headers = given;
    },
    end: () => {},
  };
  answer({ headers: {} } as IncomingMessage, response as unknown as ServerResponse, answerOf(status));
  return headers;
}

it.each([429, 503])("says with %i when to come again, and not with what lasts", async (status) => {
  expect(headersOf(status)).toMatchObject({ "Retry-After": "1" });
  expect(headersOf(502)).not.toHaveProperty("Retry-After");
  const socket = new PassThrough();
  answerOnSocket(socket, answerOf(status));
  expect(await text(socket)).toMatch(
    /^HTTP\/1\.1 \d+ (Too Many Requests|Service Unavailable)\r\n.*\r\nRetry-After: 1\r\n/s,
  );
});
