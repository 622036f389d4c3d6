import { fastify } from "fastify";
import { describe, expect, it } from "vitest";
import { DomainError } from "../lib/errors.js";
import { refusePages } from "./pages.js";

async function statusOf(headers: Record<string, string>, isTls = false) {
  const app = fastify();
  refusePages(app, { isTls });
  let asked = 0;
  app.post("/it", async () => ++asked);
  await app.register(async (edge) => {
    edge.setErrorHandler((thrown, _request, reply) =>
      reply.code(418).send({ of: thrown instanceof DomainError && thrown.code }),
    );
    edge.options("/it", async () => ++asked);
  });
  const [post, preflight] = [
    await app.inject({ method: "POST", url: "/it", headers }),
    await app.inject({ method: "OPTIONS", url: "/it", headers }),
  ];
  await app.close();
  return { asked, statuses: [post.statusCode, preflight.statusCode], body: post.json<unknown>() };
}

describe("a registry without keys", () => {
  it.each([
    { host: "127.0.0.1:7070" },
    { host: "localhost" },
    { host: "[::1]:7070" },
    { host: "api.localhost:7070" },
    { host: "0.0.0.0:7070" },
    { host: "127.0.0.1:7070", origin: "http://127.0.0.1:7070" },
    { host: "localhost:7070", origin: "http://localhost:3000" },
  ])("serves this machine: %j", async (headers) => {
    expect(await statusOf(headers)).toMatchObject({ asked: 2, statuses: [200, 200] });
  });

  it.each([
    [
      { host: "127.0.0.1:7070", origin: "https://evil.example" },
      'a page of "https://evil.example" is refused',
    ],
    [{ host: "127.0.0.1:7070", origin: "http://localhost.evil.example" }, "a page of "],
    [{ host: "127.0.0.1:7070", origin: "null" }, 'a page of "null" is refused'],
    [{ host: "evil.example:7070" }, 'a request to "evil.example:7070" is refused'],
    [{ host: "evil.example:7070", origin: "http://evil.example:7070" }, "a page of "],
    [{ host: "127.0.0.1.evil.example" }, "a request to "],
    [{ host: "a b" }, "a request to "],
  ])("refuses pages of others, before anything is done: %j", async (headers, message) => {
    expect(await statusOf(headers)).toMatchObject({
      ...{ asked: 0, statuses: [403, 418] },
      body: { code: "permission_denied", message: expect.stringContaining(message) },
    });
  });

  it("leaves names to certificates where it has one", async () => {
    expect(await statusOf({ host: "api.sbx.example" }, true)).toMatchObject({ statuses: [200, 200] });
    expect(await statusOf({ host: "api.sbx.example", origin: "https://evil.example" }, true)).toMatchObject({
      statuses: [403, 418],
    });
  });
});
