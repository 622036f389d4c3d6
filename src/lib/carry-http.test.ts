import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { createServer as createHttp1 } from "node:http";
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  createServer as createHttp2,
} from "node:http2";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { carryRequest, type HttpExchange } from "./carry-http.js";
import { anyNumber, headerBytesMax } from "./http-message.js";
import { openScope } from "./scope.js";

let scope = openScope();
afterEach(async () => {
  await scope[Symbol.asyncDispose]();
  scope = openScope();
});

async function listen(server: Server): Promise<number> {
  const open = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => open.add(socket));
  scope.defer(async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

/** A server that answers with these bytes, and what it was asked. */
async function serve(answer: string) {
  const asked: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (data) => {
      asked.push(data.toString("latin1"));
      socket.end(answer, "latin1");
    });
  });
  return { port: await listen(server), asked };
}

/** What carries requests there, and answers 502 for what throws. */
const carrier =
  (port: number): RequestListener =>
  (request: IncomingMessage, response: ServerResponse) => {
    const way = { connection: connect(port, "127.0.0.1") };
    carryRequest({ request, response }, way, { isForeign: true }).catch(() => {
      response.writeHead(502);
      response.end("no answer");
    });
  };

async function byHttp2(port: number): Promise<ClientHttp2Session> {
  const server = createHttp2(carrier(port) as never);
  const session = connectHttp2(`http://127.0.0.1:${await listen(server)}`);
  scope.defer(async () => session.destroy());
  return session;
}

async function ask(session: ClientHttp2Session, headers: Record<string, string | string[]>) {
  const stream = session.request(headers);
  const trailers: Record<string, unknown> = {};
  stream.on("trailers", (given) => Object.assign(trailers, given));
  const [head] = await once(stream, "response");
  return { head, body: await text(stream), trailers };
}

const answerWith = (...lines: readonly string[]) =>
  ["HTTP/1.1 200 OK", ...lines, "Content-Length: 2", "", "hi"].join("\r\n");

describe("an answer, by HTTP/2", () => {
  it("has what a server says twice once", async () => {
    const { port } = await serve(
      answerWith(
        'ETag: "a"',
        'ETag: "b"',
        "Content-Type: text/plain",
        "Content-Type: text/html",
        "Vary: a",
        "Vary: b",
      ),
    );
    const { head, body } = await ask(await byHttp2(port), { ":path": "/" });
    expect(head).toMatchObject({ ":status": 200, etag: '"a"', "content-type": "text/plain", vary: "a, b" });
    expect(body).toBe("hi");
  });

  it("has nothing of the server's connection", async () => {
    const { port } = await serve(
      answerWith("Connection: close, X-Of-It", "X-Of-It: 1", "Upgrade: h2c", "X-Other: 2"),
    );
    const { head } = await ask(await byHttp2(port), { ":path": "/" });
    expect(head).toMatchObject({ ":status": 200, "x-other": "2" });
    expect(head).not.toHaveProperty("x-of-it");
  });

  it("has its trailers by name", async () => {
    const { port } = await serve(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 5\r\nConnection: x\r\nTE: gzip\r\n\r\n",
    );
    expect(await ask(await byHttp2(port), { ":path": "/" })).toMatchObject({
      body: "hi",
      trailers: { "x-sum": "5" },
    });
  });

  it("that HTTP/2 cannot say is refused, and nothing of it is in what is said instead", async () => {
    const { port } = await serve("HTTP/1.1 600 Odd\r\nX-Odd: 1\r\nContent-Length: 2\r\n\r\nhi");
    const { head, body } = await ask(await byHttp2(port), { ":path": "/" });
    expect({ status: head[":status"], odd: head["x-odd"], body }).toEqual({
      status: 502,
      odd: undefined,
      body: "no answer",
    });
  });
});

/** As it comes, byte by byte. */
async function byHttp1(port: number, request = "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n") {
  const gateway = createHttp1({ maxHeaderSize: headerBytesMax }, carrier(port));
  gateway.maxHeadersCount = anyNumber;
  const socket = connect(await listen(gateway), "127.0.0.1");
  socket.setEncoding("latin1").write(request, "latin1");
  return text(socket);
}

describe("an answer, by HTTP/1.1", () => {
  it("is refused by itself, if its reason cannot be passed on", async () => {
    const { port } = await serve("HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nhi");
    expect(await byHttp1(port)).toMatch(/^HTTP\/1.1 502 Bad Gateway\r\n/);
  });

  it("has all of its headers, to the byte, up to 64 KiB", async () => {
    const many = Array.from({ length: 2000 }, (_, index) => `X-${index}: caf\xe9`);
    const { port } = await serve(answerWith(...many, `X-Large: ${"a".repeat(20_000)}`));
    const seen = await byHttp1(port);
    expect(seen).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(seen).toMatch(/\r\nX-1999: caf\xe9\r\nX-Large: a{20000}\r\nContent-Length: 2\r\n(.+\r\n)*\r\nhi$/);
    const large = await serve(answerWith(`X-Large: ${"a".repeat(headerBytesMax)}`));
    expect(await byHttp1(large.port)).toMatch(/^HTTP\/1.1 502 /);
  });

  it("comes in no pieces to a client that knows none", async () => {
    const { port } = await serve(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n4\r\n all\r\n0\r\nX-Sum: 5\r\n\r\n",
    );
    const seen = await byHttp1(port, "GET / HTTP/1.0\r\nHost: here\r\n\r\n");
    expect(seen).toMatch(/^HTTP\/1.1 200 OK\r\n(.+\r\n)*\r\nhi all$/);
    expect(seen).not.toMatch(/transfer-encoding/i);
  });

  it("may be written by hand: without CR, or with a length beside a coding", async () => {
    const { port } = await serve("HTTP/1.0 200 OK\nContent-Type: text/plain\n\nhi");
    expect(await byHttp1(port)).toMatch(
      /^HTTP\/1.1 200 OK\r\nContent-Type: text\/plain\r\n(.+\r\n)*\r\n2\r\nhi\r\n/,
    );
    const both = "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    const twice = await serve(`HTTP/1.1 200 OK\r\n${both}`);
    const seen = await byHttp1(twice.port);
    expect(seen).toMatch(/\r\n\r\n2\r\nhi\r\n0\r\n\r\n$/);
    expect(seen).not.toMatch(/content-length/i);
  });
});

describe("a request", () => {
  it("by HTTP/2 has one host and one line of cookies", async () => {
    const { port, asked } = await serve(answerWith());
    const session = await byHttp2(port);
    await ask(session, { ":path": "/", ":authority": "named", host: "other", cookie: ["a=1", "b=2"] });
    expect(asked[0]).toMatch(/^Host: named\r$/m);
    expect(asked[0]).not.toContain("other");
    expect(asked[0]?.match(/^cookie: .*$/gim)).toEqual(["Cookie: a=1; b=2"]);
  });

  it("has nothing of the client's connection, and keeps what it cannot do without", async () => {
    const { port, asked } = await serve(answerWith());
    const gateway = await listen(createHttp1(carrier(port)));
    const socket = connect(gateway, "127.0.0.1");
    socket.write(
      "POST / HTTP/1.1\r\nHost: here\r\nConnection: close, X-Of-It, Host, Content-Length\r\nX-Of-It: 1\r\nContent-Length: 2\r\n\r\nhi",
    );
    expect(await text(socket)).toMatch(/^HTTP\/1.1 200/);
    expect(asked[0]).toMatch(/^Host: here\r$/m);
    expect(asked[0]).toMatch(/^Content-Length: 2\r$/m);
    expect(asked[0]).not.toContain("X-Of-It");
  });

  it("has all of its headers, and says that it has no body where it may have one", async () => {
    const { port, asked } = await serve(answerWith());
    const many = Array.from({ length: 1500 }, (_, index) => `X-${index}: caf\xe9\r\n`).join("");
    await byHttp1(port, `POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n${many}\r\n`);
    expect(asked[0]).toMatch(/\r\nX-1499: caf\xe9\r\nContent-Length: 0\r\n/);
    expect(asked[0]).not.toMatch(/transfer-encoding/i);
  });

  it("is given up that has no client any more when its turn comes", async () => {
    const upstream = await listen(createServer((socket) => socket.on("error", () => {})));
    const connection = connect(upstream, "127.0.0.1");
    await once(connection, "connect");
    const ended = once(connection, "close");
    const server = createHttp2((request, response) => {
      const exchange = { request, response } as unknown as HttpExchange;
      response.once("close", () =>
        setImmediate(() => carryRequest(exchange, { connection }).catch(() => {})),
      );
    });
    const session = connectHttp2(`http://127.0.0.1:${await listen(server)}`);
    scope.defer(async () => session.destroy());
    const stream = session.request({ ":path": "/" });
    stream.on("error", () => {});
    setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), 100);
    await ended;
  }, 5_000);
});
