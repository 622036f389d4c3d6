import { once } from "node:events";
import { createServer as createHttp } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { carryUpgrade } from "./carry-upgrade.js";
import { openScope } from "./scope.js";

let scope = openScope();
afterEach(async () => {
  await scope[Symbol.asyncDispose]();
  scope = openScope();
});

const offer = "GET /first HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

/** A gateway before a server that has `answer` for whatever comes, and sends the rest back. */
async function carry(answer: string) {
  const asked: string[] = [];
  const peers: Socket[] = [];
  const inside = createServer((peer) => {
    peers.push(peer.on("error", () => {}));
    peer.once("data", (data) => {
      asked.push(String(data));
      if (answer !== "") peer.write(answer);
      peer.on("data", (more) => peer.write(more));
    });
  });
  await once(inside.listen(0, "127.0.0.1"), "listening");
  const { port } = inside.address() as AddressInfo;
  const gateway = createHttp().on("upgrade", (request, socket, head) => {
    void carryUpgrade({ request, socket, head }, connect(port, "127.0.0.1"));
  });
  await once(gateway.listen(0, "127.0.0.1"), "listening");
  const client = connect((gateway.address() as AddressInfo).port, "127.0.0.1");
  let seen = "";
  client.on("data", (data) => {
    seen += data;
  });
  scope.defer(async () => {
    for (const one of [client, ...peers]) one.destroy();
    for (const one of [gateway, inside]) one.close();
  });
  return { client, asked, peers, seen: () => seen };
}

it("carries what comes behind an offer that is taken, and what came before the answer", async () => {
  const { client, seen } = await carry(
    "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst ",
  );
  client.write(`${offer}early `);
  await expect.poll(seen).toMatch(/\r\n\r\nfirst early $/);
  client.write("late");
  await expect.poll(seen).toMatch(/^HTTP\/1.1 101 Switching\r\n(.+\r\n)*\r\nfirst early late$/);
});

it("ends a connection whose offer is not taken: what comes next may be for somebody else", async () => {
  const { client, asked, peers, seen } = await carry(
    "HTTP/1.1 200 OK\r\nX-Said: 1\r\nContent-Length: 2\r\n\r\nhi",
  );
  const ended = once(client, "end");
  client.write(`${offer}GET /for-another HTTP/1.1\r\nX-API-Key: secret\r\n\r\n`);
  await ended;
  expect(seen()).toMatch(/^HTTP\/1.1 200 OK\r\n(.+\r\n)*X-Said: 1\r\n/);
  expect(seen()).toMatch(/Connection: close\r\n\r\nhi$/);
  await expect.poll(() => peers[0]?.destroyed).toBe(true);
  expect(asked.join("")).not.toContain("secret");
});

it("leaves the server when the client leaves before an answer", async () => {
  const { client, asked, peers } = await carry("");
  client.write(offer);
  await expect.poll(() => asked.length).toBe(1);
  client.end();
  await expect.poll(() => peers[0]?.destroyed).toBe(true);
});
