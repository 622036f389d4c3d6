import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, expect, it } from "vitest";
import { dropBody } from "./drop-body.js";
import { openScope } from "./scope.js";

let scope = openScope();
afterEach(async () => {
  await scope[Symbol.asyncDispose]();
  scope = openScope();
});

it("lets an answer wait for the end of the body, or for the client to leave", async () => {
  const happened: string[] = [];
  const server = createServer((request, response) => {
    void dropBody(request).then(() => {
      happened.push(request.complete ? "whole" : "left");
      response.end();
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  scope.defer(async () => void server.close());
  const ask = (head: string) => {
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1").on("error", () => {});
    scope.defer(async () => void socket.destroy());
    socket.write(`POST / HTTP/1.1\r\nHost: here\r\n${head}\r\n\r\n`);
    return socket.resume();
  };
  ask("Content-Length: 0");
  await expect.poll(() => happened).toEqual(["whole"]);
  const whole = ask("Content-Length: 4");
  const left = ask("Content-Length: 4");
  for (const socket of [whole, left]) socket.write("ab");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(happened).toEqual(["whole"]);
  whole.write("cd");
  await expect.poll(() => happened).toEqual(["whole", "whole"]);
  left.destroy();
  await expect.poll(() => happened).toEqual(["whole", "whole", "left"]);
});

it("also where somebody has read a part of it, and left while waiting for more", async () => {
  let isOver = false;
  const server = createServer(async (request, response) => {
    const body = request.iterator({ destroyOnReturn: false });
    await body.next();
    // Neither settles before more comes, and all that time the reader is one of the request's.
    void body.next();
    void body.return?.();
    await dropBody(request);
    isOver = true;
    response.end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  scope.defer(async () => void server.close());
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1").on("error", () => {});
  scope.defer(async () => void client.destroy());
  client.resume().write("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\n\r\nab");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(isOver).toBe(false);
  client.write("cd");
  client.write("ef");
  await expect.poll(() => isOver).toBe(true);
});
