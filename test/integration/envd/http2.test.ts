/** E2B's client as npm has it, by TLS: it takes HTTP/2 where that is offered. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, constants } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeCertificate } from "../../support/certificate.js";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const directory = mkdtempSync(join(tmpdir(), "ramet-http2-"));
const { path, ...tls } = makeCertificate(directory);
const box = openRegistryBox("envd-http2", { tls });
let sessions = 0;
beforeAll(() => {
  box.app.server.on("session", () => sessions++);
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Trusts the certificate from its start on, as Node has it. Prints one line of JSON. */
async function program(body: string): Promise<Record<string, unknown>> {
  const text = `
    import { createHash } from "node:crypto";
    import { Sandbox, TimeoutError } from "e2b";
    const sandbox = await Sandbox.create("base");
    const said = {};
    try { ${body} } finally { await sandbox.kill(); }
    console.log(JSON.stringify(said));`;
  const env = {
    NODE_EXTRA_CA_CERTS: path,
    E2B_API_URL: box.url,
    E2B_SANDBOX_URL: box.url,
    E2B_API_KEY: mainKey,
  };
  const { stdout } = await execa("node", ["--input-type=module", "-e", text], { env, timeout: 60_000 });
  return JSON.parse(stdout);
}

it("serves commands, files and watches", async () => {
  const before = sessions;
  const said = await program(`
    const cat = await sandbox.commands.run("cat; exit 3", { background: true, stdin: true });
    await sandbox.commands.sendStdin(cat.pid, "there and back");
    await sandbox.commands.closeStdin(cat.pid);
    said.cat = await cat.wait().catch(({ stdout, exitCode }) => ({ stdout, exitCode }));
    const bytes = new Uint8Array(5_000_000).map((_, index) => (index * 7919) % 251);
    const digest = (data) => createHash("sha256").update(data).digest("hex");
    await sandbox.files.write("/tmp/bytes", bytes.buffer);
    said.sum = (await sandbox.commands.run("sha256sum < /tmp/bytes")).stdout.startsWith(digest(bytes));
    said.read = digest(await sandbox.files.read("/tmp/bytes", { format: "bytes" })) === digest(bytes);
    await sandbox.files.makeDir("/tmp/watched");
    const changes = [];
    const watch = await sandbox.files.watchDir("/tmp/watched", ({ name }) => changes.push(name));
    await sandbox.files.write("/tmp/watched/new", "x");
    while (changes.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await watch.stop();
    said.changed = changes[0];`);
  expect(said).toEqual({
    cat: { stdout: "there and back", exitCode: 3 },
    sum: true,
    read: true,
    changed: "new",
  });
  expect(sessions).toBeGreaterThan(before);
});

it("says why it does not take a file that is large, and goes on", async () => {
  const said = await program(`
    const large = new Blob([new Uint8Array(30_000_000)]);
    said.refused = await sandbox.files.write("/etc", large).catch(({ name }) => name);
    said.next = (await sandbox.files.write("/tmp/small", "x")).path;
    const killed = sandbox.files.write("/tmp/large", new Blob([new Uint8Array(300_000_000)]));
    setTimeout(() => sandbox.kill(), 100);
    said.killed = await killed.catch(({ message }) => message);
    said.after = await sandbox.files.write("/tmp/large", large).catch(({ name }) => name);`);
  expect(said).toMatchObject({ refused: "InvalidArgumentError", next: "/tmp/small", after: "TimeoutError" });
  expect(said["killed"]).not.toContain("fetch failed");
});

it("says why it does not take a message that is large, and goes on", async () => {
  const said = await program(`
    const large = "x".repeat(20_000_000);
    said.run = await sandbox.commands.run(large).catch(({ message }) => message);
    said.exists = await sandbox.files.exists(large).catch(({ message }) => message);
    said.next = (await sandbox.commands.run("echo next")).stdout;`);
  const why = expect.stringContaining("larger than configured readMaxBytes");
  expect(said).toEqual({ run: why, exists: why, next: "next\n" });
});

/** Answers when it has read the head, and reads no more. */
const hasty = `
import socket, time
server = socket.create_server(("127.0.0.1", 8001))
peer, _ = server.accept()
head = b""
while not head.endswith(b"\\r\\n\\r\\n"): head += peer.recv(1)
peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhasty")
time.sleep(1000)`;

it("ends a stream with its answer, whatever of the body is still to come", async () => {
  const { sandboxID } = (await box.ask("POST", "/v2/sandboxes", { body: { templateID: "base" } })).body;
  const start = { argv: ["python3", "-c", hasty], env: {}, stdin: false, killOnClose: false };
  await box.test.node.processes.start(sandboxID, start, AbortSignal.timeout(20_000));
  const session = connect(box.url, { rejectUnauthorized: false });
  try {
    const stream = session.request({
      ...{ ":method": "POST", ":path": "/x", "e2b-sandbox-id": sandboxID, "e2b-sandbox-port": "8001" },
    });
    stream.write("x".repeat(9_000_000));
    expect(await text(stream)).toBe("hasty");
    if (!stream.closed) await once(stream, "close", { signal: AbortSignal.timeout(5000) });
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
  } finally {
    session.destroy();
    await box.ask("DELETE", `/sandboxes/${sandboxID}`);
  }
});

it("says that nothing listens to who has much to send", async () => {
  const { sandboxID } = (await box.ask("POST", "/v2/sandboxes", { body: { templateID: "base" } })).body;
  const session = connect(box.url, { rejectUnauthorized: false });
  try {
    const address = { "e2b-sandbox-id": sandboxID, "e2b-sandbox-port": "8002" };
    const stream = session.request({ ":method": "POST", ":path": "/", ...address });
    stream.end(Buffer.alloc(30_000_000));
    expect(JSON.parse(await text(stream))).toMatchObject({ code: 502, port: 8002 });
  } finally {
    session.destroy();
    await box.ask("DELETE", `/sandboxes/${sandboxID}`);
  }
});

it("tells a sandbox that went away from a command that ended", async () => {
  const said = await program(`
    const running = sandbox.commands.run("sleep 1000", { timeoutMs: 0 });
    setTimeout(() => sandbox.kill(), 500);
    said.ended = await running.catch((thrown) => thrown instanceof TimeoutError && thrown.message);`);
  expect(said["ended"]).toMatch(/sandbox was killed or reached its end of life/);
});

/** Answers with the length of what it was sent, and two cookies. */
const counter = `
import http.server
class Counter(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def chunks(self):
        while size := int(self.rfile.readline(), 16):
            yield len(self.rfile.read(size)); self.rfile.readline()
        self.rfile.readline()
    def do_POST(self):
        plain = self.headers.get("Content-Length")
        total = len(self.rfile.read(int(plain))) if plain else sum(self.chunks())
        body = f"{total} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Set-Cookie", "a=1"); self.send_header("Set-Cookie", "b=2")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Counter).serve_forever()`;

it("carries requests for ports on, as HTTP/1.1", async () => {
  const { sandboxID } = (await box.ask("POST", "/v2/sandboxes", { body: { templateID: "base" } })).body;
  const start = { argv: ["python3", "-c", counter], env: {}, stdin: false, killOnClose: false };
  await box.test.node.processes.start(sandboxID, start, AbortSignal.timeout(20_000));
  const session = connect(box.url, { rejectUnauthorized: false });
  try {
    for (const length of [["content-length", "300000"], []]) {
      const named = length.length > 0 ? { [String(length[0])]: String(length[1]) } : {};
      const stream = session.request({
        ...{ ":method": "POST", ":path": "/x", "e2b-sandbox-id": sandboxID, "e2b-sandbox-port": "8000" },
        ...named,
      });
      const answered = once(stream, "response");
      stream.end("x".repeat(300_000));
      const [headers] = await answered;
      expect(await text(stream)).toBe(`300000 ${new URL(box.url).host}`);
      expect(headers).toMatchObject({ ":status": 200, "set-cookie": ["a=1", "b=2"] });
    }
  } finally {
    session.destroy();
    await box.ask("DELETE", `/sandboxes/${sandboxID}`);
  }
});

it("forgets files that a client has left, those that wait for their turn too", async () => {
  const { sandboxID, envdAccessToken } = (
    await box.ask("POST", "/v2/sandboxes", { body: { templateID: "base" } })
  ).body;
  const argv = ["truncate", "-s", "1G", "/tmp/large"];
  const start = { argv, env: {}, stdin: false, killOnClose: false };
  await box.test.node.processes.start(sandboxID, start, AbortSignal.timeout(20_000));
  const session = connect(box.url, { rejectUnauthorized: false });
  const headers = {
    ...{ "e2b-sandbox-id": sandboxID, "e2b-sandbox-port": "49983" },
    "x-access-token": envdAccessToken,
  };
  const begin = (path: string) =>
    session.request({ ":path": `/files?path=${path}`, ...headers }).on("error", () => {});
  const left = Array.from({ length: 30 }, () => begin("/tmp/large"));
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  for (const stream of left) stream.close(constants.NGHTTP2_CANCEL);
  const stream = begin("/etc/passwd");
  stream.setTimeout(10_000, () => stream.close());
  expect(await text(stream)).toContain("root");
  session.destroy();
  await box.ask("DELETE", `/sandboxes/${sandboxID}`);
});
