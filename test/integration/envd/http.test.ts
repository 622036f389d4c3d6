/** The plain routes, tokens and signatures, ports, and what a client sends that E2B's own would not. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { Sandbox } from "e2b";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectionsMax } from "../../../src/node/ports.js";
import { becomes } from "../../support/box.js";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("envd-http");
const options = () => ({ apiKey: mainKey, apiUrl: box.url, sandboxUrl: box.url });

let sandbox: Sandbox;
let token: string;
beforeAll(async () => {
  sandbox = await Sandbox.create("base", { ...options(), envs: { COLOUR: "blue" } });
  token = (await box.ask("GET", `/sandboxes/${sandbox.sandboxId}`)).body.envdAccessToken;
});
afterAll(async () => {
  await sandbox?.kill();
});

interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | FormData;
  readonly port?: number;
  readonly id?: string;
  /** Default true. */
  readonly withToken?: boolean;
}

async function ask(path: string, { method, headers, body, port, id, withToken = true }: Asking = {}) {
  const answer = await fetch(`${box.url}${path}`, {
    method: method ?? (body === undefined ? "GET" : "POST"),
    headers: {
      "e2b-sandbox-id": id ?? sandbox.sandboxId,
      "e2b-sandbox-port": String(port ?? 49983),
      ...(withToken ? { "x-access-token": token } : {}),
      ...headers,
    },
    ...(body === undefined ? {} : { body: body as string }),
  });
  const text = await answer.text();
  const isJson = answer.headers.get("content-type")?.startsWith("application/json") === true;
  return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
}

/** What comes back, until the end or the given end of it. */
function raw(text: string, last?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(box.url);
    const socket = connect(Number(port), hostname, () => socket.write(text));
    let seen = "";
    socket.on("data", (data) => {
      seen += data;
      if (last !== undefined && seen.endsWith(last)) socket.destroy();
    });
    socket.on("close", () => resolve(seen)).on("error", reject);
  });
}

const call = (method: string, message: object, more: Asking = {}) =>
  ask(`/${method}`, {
    ...more,
    body: JSON.stringify(message),
    headers: { "content-type": "application/json", ...more.headers },
  });

describe("plain routes", () => {
  it("say how the sandbox is, and what it uses and has", async () => {
    expect((await ask("/health", { withToken: false })).status).toBe(204);
    expect((await ask("/envs")).body).toMatchObject({ COLOUR: "blue" });
    const { body } = await ask("/metrics");
    expect(body).toMatchObject({ cpu_count: 1, mem_total: 256 * 1024 * 1024, mem_total_mib: 256 });
    expect(body.mem_used).toBeGreaterThan(0);
    expect(body.disk_total).toBeGreaterThan(body.disk_used);
  });

  it("are none for what is the node's alone, or is not there", async () => {
    for (const path of ["/init", "/freeze", "/nowhere", "/process.Process/Nothing"])
      expect((await ask(path, { body: "{}" })).status, path).toBe(404);
  });

  it("are none for what is no address at all, on any port", async () => {
    const statusOf = async (path: string, port: number) => {
      const own = { Host: "localhost", "E2b-Sandbox-Id": sandbox.sandboxId, "E2b-Sandbox-Port": port };
      const head = Object.entries({ ...own, "X-Access-Token": token, Connection: "close" });
      const lines = head.map(([name, value]) => `${name}: ${value}\r\n`);
      return (await raw(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`)).split(" ")[1];
    };
    for (const path of ["//", "///", "//:99999/x", "//[/x"])
      expect(await statusOf(path, 49983), path).toBe("400");
    expect(await statusOf("//", 8099)).toBe("502");
    expect((await ask("/health")).status).toBe(204);
  });

  it("are open to browsers", async () => {
    const answer = await ask("/files", { method: "OPTIONS", withToken: false });
    expect(answer.status).toBe(204);
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  });

  it("give ranges, and nothing where there is nothing", async () => {
    await sandbox.files.write("/tmp/letters", "abcdefghij");
    const part = await ask("/files?path=/tmp/letters", { headers: { range: "bytes=2-4" } });
    expect(part).toMatchObject({ status: 206, body: "cde" });
    expect(part.headers.get("content-range")).toBe("bytes 2-4/10");
    expect((await ask("/files?path=/tmp/letters", { headers: { range: "bytes=20-" } })).status).toBe(416);
    const since = part.headers.get("last-modified") ?? "";
    const had = { "if-modified-since": since };
    expect((await ask("/files?path=/tmp/letters", { headers: had })).status).toBe(304);
    const other = { range: "bytes=2-4", "if-range": new Date(0).toUTCString() };
    expect(await ask("/files?path=/tmp/letters", { headers: other })).toMatchObject({ body: "abcdefghij" });
    expect((await ask("/files?path=/tmp/letters", { headers: { "accept-encoding": "*;q=0" } })).status).toBe(
      406,
    );
    await sandbox.files.write("/tmp/nothing", "");
    expect((await ask("/files?path=/tmp/nothing")).headers.get("content-length")).toBe("0");
    expect((await ask("/files?path=/proc/self/comm")).body).toMatch(/\w/);
    // They say that they have 4,096 bytes.
    expect((await ask("/files?path=/sys/devices/system/cpu/online")).body).toMatch(/^0/);
  });

  it("refuse a form with two files for one path, whose first is written", async () => {
    const form = new FormData();
    for (const name of ["/tmp/twice", "/tmp/form/../twice"]) form.append("file", new Blob([name]), name);
    expect(await ask("/files", { body: form })).toMatchObject({ status: 400, body: { code: 400 } });
    expect(await sandbox.files.read("/tmp/twice")).toBe("/tmp/twice");
  });

  it("take forms of several files, under their whole names", async () => {
    const form = new FormData();
    for (const name of ["/tmp/form/a", "/tmp/form/deeper/b"]) form.append("file", new Blob([name]), name);
    form.append("other", new Blob(["ignored"]), "/tmp/form/other");
    const { status, body } = await ask("/files", { body: form });
    expect({ status, body }).toEqual({
      status: 200,
      body: [
        { path: "/tmp/form/a", name: "a", type: "file" },
        { path: "/tmp/form/deeper/b", name: "b", type: "file" },
      ],
    });
    expect((await sandbox.files.list("/tmp/form")).map(({ name }) => name)).toEqual(["a", "deeper"]);
  });

  it("refuse bodies that are none", async () => {
    const octets = { "content-type": "application/octet-stream" };
    const upload = (
      headers: Record<string, string>,
      body: string | Buffer = "x",
      query = "?path=/tmp/refused",
    ) => ask(`/files${query}`, { headers: { ...octets, ...headers }, body });
    expect((await upload({}, "x", "")).status).toBe(400);
    expect((await upload({ "content-type": "text/plain" })).status).toBe(400);
    expect((await upload({ "content-encoding": "br" })).status).toBe(400);
    expect((await upload({ "content-encoding": "gzip" }, "no gzip")).status).toBe(400);
    const cut = gzipSync("x".repeat(100_000)).subarray(0, 60);
    expect((await upload({ "content-encoding": "gzip" }, cut)).status).toBe(400);
    expect((await upload({ "content-type": "multipart/form-data" })).status).toBe(400);
    expect((await upload({ "content-type": "multipart/form-data; boundary=b" }, "--b\r\nx")).status).toBe(
      400,
    );
    expect((await upload({ "x-metadata-k": "x".repeat(5_000) })).status).toBe(400);
    expect((await upload({}, "x", "?path=/tmp/x&username=nobody-such")).status).toBe(401);
    expect((await upload({}, "x", "?path=/tmp/x&username=user:root")).status).toBe(400);
    expect((await upload({}, "fine")).status).toBe(200);
  });
});

describe("tokens and signatures", () => {
  it("are needed, and have to be this sandbox's", async () => {
    const other = await Sandbox.create("base", options());
    for (const headers of [{}, { "x-access-token": "wrong" }]) {
      expect((await ask("/envs", { withToken: false, headers })).status).toBe(401);
      expect((await call("process.Process/List", {}, { withToken: false, headers })).status).toBe(401);
      expect((await ask("/files?path=/etc/hostname", { withToken: false, headers })).status).toBe(401);
    }
    expect((await ask("/envs", { id: other.sandboxId })).status).toBe(401);
    await other.kill();
    const open = await box.ask("POST", "/sandboxes", { body: { templateID: "base", timeout: 60 } });
    expect((await ask("/envs", { id: open.body.sandboxID, withToken: false })).status).toBe(200);
    await Sandbox.kill(open.body.sandboxID, options());
  });

  it("open one file for a while", async () => {
    await sandbox.files.write("/tmp/signed", "content");
    const read = new URL(await sandbox.downloadUrl("/tmp/signed", { useSignatureExpiration: 60 }));
    const path = (url: URL) => url.pathname + url.search;
    expect((await ask(path(read), { withToken: false })).body).toBe("content");
    read.searchParams.set("path", "/etc/shadow");
    expect((await ask(path(read), { withToken: false })).body).toEqual({
      code: 401,
      message: "invalid signature",
    });
    const late = new URL(await sandbox.downloadUrl("/tmp/signed", { useSignatureExpiration: -60 }));
    expect((await ask(path(late), { withToken: false })).body).toEqual({
      code: 401,
      message: "signature is already expired",
    });
    const form = new FormData();
    form.append("file", new Blob(["new"]), "signed");
    const write = new URL(await sandbox.uploadUrl("/tmp/signed"));
    expect((await ask(path(write), { withToken: false, body: form })).status).toBe(200);
    expect(await sandbox.files.read("/tmp/signed")).toBe("new");
  });
});

describe("calls that E2B's clients do not make", () => {
  it.each([
    ["process.Process/Start", "application/json", 415],
    ["process.Process/List", "text/plain", 415],
    ["process.Process/List", "application/connect+json", 415],
  ])("%s as %s", async (method, type, status) => {
    expect((await call(method, {}, { headers: { "content-type": type } })).status).toBe(status);
  });

  it("with words that mean nothing", async () => {
    const refused = async (method: string, message: object) => (await call(method, message)).body.code;
    expect(await refused("process.Process/SendSignal", {})).toBe("invalid_argument");
    expect(await refused("process.Process/SendSignal", { process: { pid: 1, tag: "x" } })).toBe(
      "invalid_argument",
    );
    expect(await refused("process.Process/SendSignal", { process: { tag: "none" }, signal: 9 })).toBe(
      "not_found",
    );
    expect(await refused("filesystem.Filesystem/GetWatcherEvents", { watcherId: "none" })).toBe("not_found");
    for (const path of ["/tmp/a\0b", `/tmp/${"x".repeat(5_000)}`, "~root/x"])
      expect(await refused("filesystem.Filesystem/Stat", { path })).toBe("invalid_argument");
    await sandbox.commands.run("ln -sf loop /tmp/loop");
    expect(await refused("filesystem.Filesystem/ListDir", { path: "/tmp/loop" })).toBe("invalid_argument");
    expect(await refused("filesystem.Filesystem/ListDir", { path: "/tmp", depth: 100 })).toBe(
      "invalid_argument",
    );
    expect(await refused("filesystem.Filesystem/Remove", { path: "/.ramet" })).toBe("failed_precondition");
    const bad = await call("process.Process/List", {}, { headers: { "connect-protocol-version": "7" } });
    expect(bad.status).toBe(400);
  });

  it("in protobuf's own form", async () => {
    const answer = await fetch(`${box.url}/process.Process/List`, {
      method: "POST",
      headers: {
        ...{ "content-type": "application/proto", "e2b-sandbox-id": sandbox.sandboxId },
        ...{ "e2b-sandbox-port": "49983", "x-access-token": token },
      },
      body: new Uint8Array(0),
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/proto");
  });

  it("to poll a watch, over a pause too", async () => {
    const made = await Sandbox.create("base", options());
    const id = made.sandboxId;
    const { envdAccessToken } = (await box.ask("GET", `/sandboxes/${id}`)).body;
    const its = { id, headers: { "x-access-token": envdAccessToken }, withToken: false };
    const { watcherId } = (await call("filesystem.Filesystem/CreateWatcher", { path: "/tmp" }, its)).body;
    const names = async () =>
      ((await call("filesystem.Filesystem/GetWatcherEvents", { watcherId }, its)).body.events ?? []).map(
        ({ name }: { name: string }) => name,
      );
    await made.files.write("/tmp/first", "x");
    await becomes("told", async () => (await names()).includes("first"));
    await made.pause();
    await made.connect();
    await names();
    await made.files.write("/tmp/second", "x");
    await becomes("told", async () => (await names()).includes("second"));
    expect((await call("filesystem.Filesystem/RemoveWatcher", { watcherId }, its)).status).toBe(200);
    expect((await call("filesystem.Filesystem/GetWatcherEvents", { watcherId }, its)).status).toBe(404);
    await made.kill();
  });
});

describe("ports", () => {
  it("reach servers that listen on the loopback, and say where none does", async () => {
    await sandbox.commands.run("python3 -m http.server 8000 --bind 127.0.0.1 --directory /etc", {
      background: true,
    });
    await becomes("served", async () => (await ask("/hostname", { port: 8000 })).status === 200);
    expect((await ask("/none", { port: 8000 })).status).toBe(404);
    expect((await ask("/", { port: 8001 })).body).toEqual({
      ...{ sandboxId: sandbox.sandboxId, message: "The sandbox is running but port is not open" },
      ...{ port: 8001, code: 502 },
    });
    const host = `8000-${sandbox.sandboxId}.sbx.test`;
    expect(await raw(`GET /hostname HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 200/,
    );
  });

  it("give the answer of a server that leaves without having read all", async () => {
    const hasty = `
import socket
server = socket.create_server(("127.0.0.1", 8014))
while True:
    peer, _ = server.accept()
    peer.recv(100)
    peer.sendall(b"HTTP/1.1 413 Too Large\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nbig")
    peer.close()`;
    await sandbox.files.write("/tmp/hasty.py", hasty);
    await sandbox.commands.run("python3 /tmp/hasty.py", { background: true });
    await becomes("served", async () => (await ask("/", { port: 8014 })).status === 413);
    const body = Buffer.alloc(20_000_000);
    for (let round = 0; round < 10; round++) {
      const headers = { "e2b-sandbox-id": sandbox.sandboxId, "e2b-sandbox-port": "8014" };
      const sent = request(box.url, { method: "PUT", headers }).on("error", () => {});
      sent.end(body);
      const [answer] = (await once(sent, "response")) as [IncomingMessage];
      expect([answer.statusCode, await text(answer)]).toEqual([413, "big"]);
    }
  });

  it("carry what leaves HTTP", async () => {
    const script = [
      "const c = require('crypto')",
      "require('http').createServer().on('upgrade', (r, s, h) => {",
      "  const k = c.createHash('sha1').update(r.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')",
      "  s.write('HTTP/1.1 101 x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + k.digest('base64') + '\\r\\n\\r\\n')",
      "  s.write(h); s.on('data', (d) => s.write(d)).on('end', () => s.end()).on('error', () => {}) }).listen(8002, '::1')",
    ].join("\n");
    await sandbox.files.write("/tmp/echo.js", script);
    await sandbox.commands.run("node /tmp/echo.js", { background: true });
    await becomes(
      "listening",
      async () => (await sandbox.commands.run("grep -c 1F42 /proc/net/tcp6 || true")).stdout.trim() === "1",
    );
    const host = `8002-${sandbox.sandboxId}.sbx.test`;
    const asked = `GET / HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==\r\n\r\n`;
    const answer = await raw(`${asked}ping`, "ping");
    expect(answer).toMatch(/^HTTP\/1.1 101/);
    expect(answer).toMatch(/\r\n\r\nping$/);
    const { hostname, port } = new URL(box.url);
    const many = Array.from({ length: connectionsMax }, () => connect(Number(port), hostname));
    try {
      for (const socket of many) socket.on("error", () => {}).write(asked);
      await Promise.all(many.map((socket) => once(socket, "data")));
      expect(await raw(asked, "open")).toMatch(/^HTTP\/1.1 429 Too Many Requests[\s\S]*192 connections open/);
    } finally {
      for (const socket of many) socket.destroy();
    }
    await becomes("room", async () => !(await raw(`${asked}ping`, "ping")).startsWith("HTTP/1.1 429"));
  });
});

it("answers an offer to leave HTTP that is none of its own in HTTP", async () => {
  const host = `49983-${sandbox.sandboxId}.sbx.test`;
  const offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk";
  const asked = (head: string) => `${head} HTTP/1.1\r\nHost: ${host}\r\n${offer}\r\n`;
  expect(await raw(`${asked("GET /health")}\r\n`)).toMatch(/^HTTP\/1.1 204/);
  const body = JSON.stringify({ path: "/tmp" });
  const typed = `X-Access-Token: ${token}\r\nContent-Type: application/json`;
  const call = `${asked("POST /filesystem.Filesystem/Stat")}${typed}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  expect(await raw(call)).toMatch(/^HTTP\/1.1 200[\s\S]*"path":"\/tmp"/);
});
