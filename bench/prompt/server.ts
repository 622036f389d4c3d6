/**
 * A program that answers at once what E2B's clients ask for a new sandbox and a command in it, and does nothing: what is
 * left is the client's time, and the machine's. Says its port to the process that forked it, and ends with that.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** As a registry answers. */
const sandbox = JSON.stringify({
  ...{ templateID: "719jpsu64w8efe1ueelk", sandboxID: "tpow4acknxhps6a96swb", alias: "bench" },
  ...{ clientID: "prompt", envdVersion: "0.6.13", envdAccessToken: "0".repeat(64) },
  ...{ trafficAccessToken: null, domain: null },
});

/** Connect's envelopes: flags, the length, the message. */
function envelope(flags: number, message: object): Buffer {
  const text = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(5);
  head.writeUInt8(flags);
  head.writeUInt32BE(text.length, 1);
  return Buffer.concat([head, text]);
}

const command = Buffer.concat([
  envelope(0, { event: { start: { pid: 10 } } }),
  envelope(0, { event: { data: { stdout: Buffer.from("hello\n").toString("base64") } } }),
  envelope(0, { event: { end: { exited: true, status: "exit status 0" } } }),
  envelope(2, {}),
]);

const json = { "content-type": "application/json" };
const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
  "GET /health": (response) => response.writeHead(204).end(),
  "POST /sandboxes": (response) => response.writeHead(201, json).end(sandbox),
  "POST /v2/sandboxes": (response) => response.writeHead(201, json).end(sandbox),
  "POST /process.Process/Start": (response) =>
    response.writeHead(200, { "content-type": "application/connect+json" }).end(command),
};
const removed = (response: ServerResponse) => response.writeHead(204).end();
const unknown = (response: ServerResponse) =>
  response.writeHead(404, json).end('{"message":"no such route"}');

const server = createServer((request, response) => {
  const asked = `${request.method} ${request.url}`;
  const answer = answers[asked] ?? (request.method === "DELETE" ? removed : unknown);
  // As a server that has to know what it is asked.
  request.resume().once("end", () => answer(response));
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit(0));
