import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectHttp2, constants } from "node:http2";
import { get, request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { fastify } from "fastify";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { makeCertificate } from "../../test/support/certificate.js";
import { cutResponse } from "../lib/cut-response.js";
import { openScope } from "../lib/scope.js";
import { openFront } from "./front.js";

let scope = openScope();
afterEach(async () => {
  await scope[Symbol.asyncDispose]();
  scope = openScope();
});

async function serve(tls?: Parameters<typeof openFront>[0]) {
  const front = openFront(tls);
  const app = fastify({ serverFactory: front.serverFactory, forceCloseConnections: true });
  scope.defer(() => app.close());
  app.get("/route", async () => "routed");
  app.addContentTypeParser("*", { parseAs: "string" }, async (_request: unknown, body: string) => body);
  app.post("/route", async ({ body }) => String((body as string).length));
  await app.listen({ host: "127.0.0.1", port: 0 });
  return { front, port: (app.server.address() as AddressInfo).port };
}

function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("data", (data) => {
      seen += data;
    });
    socket.on("close", () => resolve(seen)).on("error", reject);
  });
}

const request = (host: string, more = "Connection: close") =>
  `GET /route HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n\r\n`;

/** Of the server's ends of its connections, by what the kernel says of its timers: 02 is that of keepalive (proc(5)). */
function timersOf(port: number): string[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = readFileSync("/proc/self/net/tcp", "utf8").trim().split("\n").slice(1);
  const columns = lines.map((line) => line.trim().split(/\s+/));
  const established = columns.filter(([, from, , state]) => from?.endsWith(local) && state === "01");
  return established.map(([, , , , , timer = ""]) => timer.slice(0, 2));
}

it.each(["plain", "by TLS"])("looks whether a client that says nothing is there at all, %s", async (how) => {
  const directory = mkdtempSync(join(tmpdir(), "ramet-front-"));
  scope.defer(async () => rmSync(directory, { recursive: true }));
  const { port } = await serve(how === "plain" ? undefined : makeCertificate(directory));
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  scope.defer(async () => void socket.destroy());
  await once(socket, "connect");
  await expect.poll(() => timersOf(port)).toEqual(["02"]);
});

it("takes 64 KiB of headers, however many", async () => {
  const { front, port } = await serve();
  front.intercept({
    request({ rawHeaders }, response) {
      response.setHeader("Connection", "close").end(`seen ${rawHeaders.length / 2}`);
      return true;
    },
    upgrade: () => false,
  });
  const many = Array.from({ length: 2000 }, (_, index) => `X-${index}: 1`);
  expect(await raw(port, request("here", [...many, `X-Large: ${"a".repeat(30_000)}`].join("\r\n")))).toMatch(
    /seen 2002$/,
  );
  expect(await raw(port, request("here", `X-Large: ${"a".repeat(65_536)}`))).toMatch(/^HTTP\/1.1 431 /);
});

it("gives routes what nobody takes before them", async () => {
  const { front, port } = await serve();
  expect(await raw(port, request("here"))).toMatch(/routed$/);
  front.intercept({
    request({ headers }, response) {
      if (headers.host !== "taken") return false;
      response.setHeader("Connection", "close");
      response.end("intercepted");
      return true;
    },
    upgrade(_request, socket) {
      socket.end("upgraded");
      return true;
    },
  });
  expect(await raw(port, request("here"))).toMatch(/routed$/);
  expect(await raw(port, request("taken"))).toMatch(/intercepted/);
  expect(await raw(port, request("taken", "Connection: Upgrade\r\nUpgrade: x"))).toBe("upgraded");
});

it("goes on in HTTP where nobody takes what is offered in its place", async () => {
  const { port } = await serve();
  const offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk";
  expect(await raw(port, request("here", offer))).toMatch(/^HTTP\/1.1 200[\s\S]*routed$/);
  const body = "x".repeat(100_000);
  const post = request("here", `${offer}\r\nContent-Type: text/x\r\nContent-Length: ${body.length}`).replace(
    "GET",
    "POST",
  );
  expect(await raw(port, post + body)).toMatch(/^HTTP\/1.1 200[\s\S]*100000$/);
});

describe("by TLS", () => {
  const directory = mkdtempSync(join(tmpdir(), "ramet-front-"));
  afterAll(() => rmSync(directory, { recursive: true }));
  const identity = () => makeCertificate(directory);
  const rejectUnauthorized = false;

  it("serves HTTP/2 to who asks for it, and HTTP/1.1 to others", async () => {
    const { port } = await serve(identity());
    const seen = await new Promise<string>((resolve, reject) => {
      const options = { port, path: "/route", rejectUnauthorized };
      get(options, (answer) => void text(answer).then((body) => resolve(`${answer.httpVersion} ${body}`))).on(
        "error",
        reject,
      );
    });
    expect(seen).toBe("1.1 routed");
    const session = connectHttp2(`https://localhost:${port}`, { rejectUnauthorized });
    scope.defer(() => session.destroy());
    const post = { ":method": "POST", ":path": "/route", "content-type": "text/x" };
    const streams = Array.from({ length: 20 }, () => session.request(post).end("x".repeat(300_000)));
    expect(await Promise.all(streams.map((stream) => text(stream)))).toEqual(streams.map(() => "300000"));
  });

  it("carries as many headers by HTTP/2", async () => {
    const { front, port } = await serve(identity());
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, "1"]));
    front.intercept({
      request(_request, response) {
        response.writeHead(200, many(4000)).end();
        return true;
      },
      upgrade: () => false,
    });
    const session = connectHttp2(`https://localhost:${port}`, {
      rejectUnauthorized,
      maxHeaderListPairs: 5000,
    });
    scope.defer(() => session.destroy());
    const stream = session.request({ ":path": "/", ...many(800), "x-large": "a".repeat(30_000) });
    const [head] = await once(stream, "response");
    expect(head).toMatchObject(many(4000));
  });

  it("tells an answer that was cut off from one that has ended", async () => {
    const { front, port } = await serve(identity());
    front.intercept({
      request(_request, response) {
        response.writeHead(200);
        response.write("a part");
        setTimeout(() => cutResponse(response), 50);
        return true;
      },
      upgrade: () => false,
    });
    const session = connectHttp2(`https://localhost:${port}`, { rejectUnauthorized });
    scope.defer(() => session.destroy());
    const stream = session.request({ ":path": "/" });
    await expect(text(stream)).rejects.toThrow(/INTERNAL_ERROR/);
    expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    const answer = await new Promise<string>((resolve) => {
      const asked = httpsRequest({ port, rejectUnauthorized }, (got) =>
        text(got).then(resolve, (thrown: Error) => resolve(thrown.message)),
      );
      asked.end();
    });
    expect(answer).toBe("aborted");
  });

  it("goes on in HTTP/1.1 where nobody takes what is offered in its place", async () => {
    const { port } = await serve(identity());
    const socket = connectTls({ port, rejectUnauthorized, ALPNProtocols: ["http/1.1"] });
    socket.write(request("here", "Connection: Upgrade\r\nUpgrade: x"));
    expect(await text(socket)).toMatch(/^HTTP\/1.1 200[\s\S]*routed$/);
  });
});
