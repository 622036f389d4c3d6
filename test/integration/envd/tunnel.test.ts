/** The way to sandboxes of nodes in other processes: over the agent's API. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import type { Socket } from "node:net";
import { CommandExitError, Sandbox, TimeoutError } from "e2b";
import { afterAll, beforeAll, expect, it } from "vitest";
import { becomes } from "../../support/box.js";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("envd-tunnel", { throughApi: true });
const options = () => ({ apiKey: mainKey, apiUrl: box.url, sandboxUrl: box.url });

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await Sandbox.create("base", options());
});
afterAll(async () => {
  await sandbox?.kill();
});

const port = (number: number, path = "/", init: RequestInit = {}) => {
  const headers = { "e2b-sandbox-id": sandbox.sandboxId, "e2b-sandbox-port": String(number) };
  return fetch(`${box.url}${path}`, { ...init, headers: { ...headers, ...init.headers } });
};

it("carries commands, what they read, and how they end", async () => {
  const cat = await sandbox.commands.run("cat; exit 3", { background: true, stdin: true });
  await sandbox.commands.sendStdin(cat.pid, "there and back");
  await sandbox.commands.closeStdin(cat.pid);
  const ended = await cat.wait().catch((thrown: unknown) => thrown);
  expect(ended).toBeInstanceOf(CommandExitError);
  expect(ended).toMatchObject({ stdout: "there and back", exitCode: 3 });
});

it("carries contents whole", async () => {
  const bytes = new Uint8Array(20_000_000).map((_, index) => (index * 7919) % 256);
  await sandbox.files.write("/tmp/bytes", bytes.buffer);
  const digest = createHash("sha256").update(bytes).digest("hex");
  expect((await sandbox.commands.run("sha256sum < /tmp/bytes")).stdout).toContain(digest);
  const read = await sandbox.files.read("/tmp/bytes", { format: "bytes" });
  expect(createHash("sha256").update(read).digest("hex")).toBe(digest);
});

it("keeps nobody waiting for a message that is refused before it is read", async () => {
  const { envdAccessToken } = (await box.ask("GET", `/sandboxes/${sandbox.sandboxId}`)).body;
  const headers = { "content-type": "application/json", "x-access-token": envdAccessToken };
  const stat = async (body: string | ReadableStream) => {
    // A stream's length is not said.
    const signal = AbortSignal.timeout(5000);
    const init = { method: "POST", headers, body, duplex: "half", signal } as const;
    return (await port(49983, "/filesystem.Filesystem/Stat", init)).status;
  };
  const large = new Blob([Buffer.alloc(17_000_000, " ")]);
  for (let n = 0; n < 3; n++) expect(await stat(large.stream())).toBe(429);
  for (let n = 0; n < 6; n++) expect(await stat(JSON.stringify({ path: "/tmp" }))).toBe(200);
});

it("carries requests for ports, and says where nothing listens", async () => {
  await sandbox.commands.run("python3 -m http.server 8000 --bind 127.0.0.1 --directory /etc", {
    background: true,
  });
  await becomes("served", async () => (await port(8000, "/hostname")).status === 200);
  expect(await (await port(8001)).json()).toMatchObject({ code: 502, port: 8001 });
});

it("keeps nobody waiting behind a body that a server leaves unread", async () => {
  const hasty = `
import socket
server, peers = socket.create_server(("127.0.0.1", 8012)), []
while True:
    peer, _ = server.accept()
    peers.append(peer)
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"): head += peer.recv(1)
    peer.sendall(b"HTTP/1.1 413 x\\r\\nContent-Length: 5\\r\\n\\r\\nhasty")`;
  await sandbox.files.write("/tmp/hasty.py", hasty);
  await sandbox.commands.run("python3 /tmp/hasty.py", { background: true });
  const ask = async (body: Buffer) => {
    const answer = await port(8012, "/", { method: "POST", body, signal: AbortSignal.timeout(5000) });
    return await answer.text();
  };
  for (let n = 0; n < 12; n++) expect(await ask(Buffer.alloc(100_000 * (n % 4)))).toBe("hasty");
});

it("says at once that a server went away, to who has more to send", async () => {
  const leaving = `
import socket
server = socket.create_server(("127.0.0.1", 8013))
while True: server.accept()[0].recv(1)`;
  await sandbox.files.write("/tmp/leaving.py", leaving);
  await sandbox.commands.run("python3 /tmp/leaving.py", { background: true });
  const body = new ReadableStream({ start: (rest) => rest.enqueue(Buffer.from("begun")) });
  const signal = AbortSignal.timeout(5000);
  const answer = await port(8013, "/", { method: "POST", body, duplex: "half", signal });
  expect(await answer.json()).toMatchObject({ code: 502, port: 8013 });
});

it("shows nobody inside what registry and node tell each other", async () => {
  const echo = `
import http.server
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = str(self.headers).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", 8010), Echo).serve_forever()`;
  await sandbox.files.write("/tmp/echo.py", echo);
  await sandbox.commands.run("python3 /tmp/echo.py", { background: true });
  await becomes("served", async () => (await port(8010)).status === 200);
  // Whatever a client calls it.
  const seen = await (await port(8010, "/", { headers: { "Ramet-Target": "forged" } })).text();
  expect(seen).toMatch(/e2b-sandbox-port: 8010/i);
  expect(seen).not.toMatch(/ramet-target|forged/i);
});

it("carries what leaves HTTP", async () => {
  const echo = `
import socket
server = socket.create_server(("127.0.0.1", 8011))
while True:
    peer, _ = server.accept()
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"): head += peer.recv(1)
    peer.sendall(b"HTTP/1.1 101 x\\r\\nUpgrade: echo\\r\\nConnection: Upgrade\\r\\n\\r\\n")
    while data := peer.recv(65536): peer.sendall(data)`;
  await sandbox.files.write("/tmp/leaves.py", echo);
  await sandbox.commands.run("python3 /tmp/leaves.py", { background: true });
  const headers = { "e2b-sandbox-id": sandbox.sandboxId, "e2b-sandbox-port": "8011", upgrade: "echo" };
  // A server that is about to listen is waited for.
  const asked = request(box.url, { headers: { ...headers, connection: "Upgrade" } }).end();
  const [, socket] = (await once(asked, "upgrade")) as [unknown, Socket];
  socket.write("there and back");
  expect(String((await once(socket, "data"))[0])).toBe("there and back");
  socket.destroy();
});

it("breaks off where the sandbox does", async () => {
  const made = await Sandbox.create("base", options());
  const running = made.commands.run("sleep 1000", { timeoutMs: 0 });
  const outcome = expect(running).rejects.toThrow(TimeoutError);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await made.kill();
  await outcome;
});

it("ends what a client has left", async () => {
  const leaving = new AbortController();
  const asked = port(49983, "/files?path=/dev/null", { signal: leaving.signal });
  leaving.abort();
  await expect(asked).rejects.toThrow();
  const run = await sandbox.commands.run("sleep 1000", { background: true });
  await run.disconnect();
  expect((await sandbox.commands.list()).map(({ pid }) => pid)).toContain(run.pid);
  expect(await run.kill()).toBe(true);
});
