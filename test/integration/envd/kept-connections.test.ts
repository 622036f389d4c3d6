/** Connections to servers in a sandbox stay open between requests, and nobody notices more of it than the speed. */
import { Sandbox } from "e2b";
import { afterAll, beforeAll, expect, it } from "vitest";
import { delay } from "../../../src/lib/signal.js";
import { becomes } from "../../support/box.js";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("envd-kept");
const options = () => ({ apiKey: mainKey, apiUrl: box.url, sandboxUrl: box.url });

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await Sandbox.create("base", options());
});
afterAll(async () => {
  for (const id of await box.onNode()) await Sandbox.kill(id, options());
});

async function ask(port: number, method = "GET", id = sandbox.sandboxId) {
  const answer = await fetch(box.url, {
    method,
    headers: { "e2b-sandbox-id": id, "e2b-sandbox-port": String(port) },
    ...(method === "POST" ? { body: "x" } : {}),
  });
  return { status: answer.status, text: await answer.text() };
}

/** A server of threads; `serve(peer, number)` has the peer and how many came before it. */
async function serve(port: number, body: string): Promise<void> {
  const program = `
import socket, threading, time
def head(peer):
    got = b""
    while b"\\r\\n\\r\\n" not in got:
        came = peer.recv(65536)
        if not came: return None
        got += came
    return got
def answer(peer, text):
    peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(text), text.encode()))
${body}
server = socket.create_server(("127.0.0.1", ${port}), backlog=64)
number = 0
while True:
    peer, _ = server.accept()
    serve(peer, number)
    number += 1`;
  await sandbox.files.write(`/tmp/serve-${port}.py`, program);
  await sandbox.commands.run(`python3 /tmp/serve-${port}.py`, { background: true, timeoutMs: 0 });
  await becomes("served", async () => (await ask(port)).status === 200);
}

const threaded = (work: string) => `
def each(peer, number):
${work}
def serve(peer, number):
    threading.Thread(target=each, args=(peer, number), daemon=True).start()`;

const counting = threaded(`
    while head(peer): answer(peer, str(number))`);

it("takes the same connection again, for what has no effects and no body", async () => {
  await serve(8101, counting);
  const first = (await ask(8101)).text;
  expect(await ask(8101)).toEqual({ status: 200, text: first });
  const own = (await ask(8101, "POST")).text;
  expect(own).not.toBe(first);
  expect((await ask(8101, "POST")).text).not.toBe(own);
  expect(await ask(8101)).toEqual({ status: 200, text: first });
});

it("asks again where the server closes a connection in the moment in which it is used", async () => {
  await serve(
    8102,
    threaded(`
    head(peer)
    answer(peer, str(number))
    head(peer)
    peer.close()`),
  );
  const texts = new Set<string>();
  for (let count = 0; count < 10; count++) {
    const { status, text } = await ask(8102);
    expect(status).toBe(200);
    texts.add(text);
  }
  expect(texts.size).toBe(10);
});

it.each([
  [8106, "close()"],
  [8107, "shutdown(socket.SHUT_WR); time.sleep(1000)"],
])("takes none that the server has ended meanwhile, on port %d by %s", async (port, end) => {
  await serve(
    port,
    threaded(`
    head(peer)
    answer(peer, str(number))
    time.sleep(0.1)
    peer.${end}`),
  );
  const texts = new Set<string>();
  for (let count = 0; count < 3; count++) {
    const { status, text } = await ask(port);
    expect(status).toBe(200);
    texts.add(text);
    await delay(300);
  }
  expect(texts.size).toBe(3);
});

it("waits for nothing where a server says head and body one after the other", async () => {
  await serve(
    8111,
    threaded(`
    while head(peer):
        peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\n")
        peer.sendall(b"body")`),
  );
  const took: number[] = [];
  for (let count = 0; count < 12; count++) {
    const startedAt = performance.now();
    expect(await ask(8111)).toEqual({ status: 200, text: "body" });
    took.push(performance.now() - startedAt);
  }
  // An acknowledgement that is put off comes after 40 ms, each time.
  expect(took.sort((a, b) => a - b)[3]).toBeLessThan(35);
});

it("says so where a server leaves HTTP without having been asked to", async () => {
  const leaving = "HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: x\\r\\nConnection: upgrade\\r\\n\\r\\n";
  await serve(
    8108,
    threaded(`
    head(peer)
    answer(peer, "up") if number == 0 else peer.sendall(b"${leaving}")
    head(peer)
    peer.close()`),
  );
  expect((await ask(8108)).status).toBe(502);
  expect((await ask(8108, "POST")).status).toBe(502);
});

it("does not keep a server waiting that serves one connection at a time", async () => {
  await serve(
    8103,
    `
def serve(peer, number):
    while head(peer): answer(peer, str(number))
    peer.close()`,
  );
  const startedAt = performance.now();
  const answers = await Promise.all([ask(8103), ask(8103), ask(8103, "POST"), ask(8103)]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(performance.now() - startedAt).toBeLessThan(3_000);
});

it("goes on after a pause, and ends with the sandbox", async () => {
  await serve(8104, counting);
  await ask(8104);
  await sandbox.pause();
  await Sandbox.connect(sandbox.sandboxId, options());
  for (let count = 0; count < 5; count++) expect((await ask(8104)).status).toBe(200);
  const other = await Sandbox.create("base", options());
  expect(await ask(8104, "GET", other.sandboxId)).toMatchObject({ status: 502 });
  await other.kill();
  expect(await ask(8104, "GET", other.sandboxId)).toMatchObject({ status: 502 });
});

/** Takes its time, and a connection for each. */
const slow = threaded(`
    got = head(peer)
    if got and got.startswith(b"POST"): open("/tmp/posted", "a").write("one\\n")
    time.sleep(0.02)
    if got: answer(peer, str(number))
    peer.close()`);

it("is a clone's own, and of the dump of its source nobody notices more than that it takes time", async () => {
  await serve(8105, counting);
  await serve(8109, slow);
  const stop = new AbortController();
  const asking = async (port: number, method?: string) => {
    const statuses: number[] = [];
    while (!stop.signal.aborted) statuses.push((await ask(port, method)).status);
    return statuses;
  };
  const all = [asking(8109, "POST"), asking(8105), asking(8105), asking(8109), asking(8109)];
  for (let count = 0; count < 5; count++) {
    const forked = await box.ask("POST", `/sandboxes/${sandbox.sandboxId}/fork`, { body: { count: 1 } });
    expect(forked.status).toBe(201);
    const clone: string = forked.body[0].sandbox.sandboxID;
    expect((await ask(8105, "GET", clone)).status).toBe(200);
    await Sandbox.kill(clone, options());
    expect((await ask(8105, "GET", clone)).status).toBe(502);
  }
  stop.abort();
  const statuses = await Promise.all(all);
  expect(statuses.flat().length).toBeGreaterThan(20);
  expect(statuses.flat().filter((status) => status !== 200)).toEqual([]);
  expect(await countOf("wc -l </tmp/posted")).toBe(statuses[0]?.length);
});

it("asks again for what takes longer than a dump waits, and does nothing twice", async () => {
  await serve(
    8110,
    threaded(`
    got = head(peer)
    open("/tmp/asked", "a").write(got.decode().split()[0] + "\\n")
    if number > 0: time.sleep(1)
    answer(peer, str(number))
    peer.close()`),
  );
  const both = [ask(8110), ask(8110, "POST")];
  await becomes("asked", async () => (await countOf("wc -l </tmp/asked")) === 3);
  const forked = await box.ask("POST", `/sandboxes/${sandbox.sandboxId}/fork`, { body: { count: 1 } });
  const [got, posted] = await Promise.all(both);
  expect(got?.status).toBe(200);
  expect(posted).toMatchObject({ status: 502 });
  expect(posted?.text).toContain("gave no answer");
  expect(await countOf("grep -c POST /tmp/asked")).toBe(1);
  await Sandbox.kill(forked.body[0].sandbox.sandboxID, options());
});

async function countOf(command: string): Promise<number> {
  return Number((await sandbox.commands.run(command)).stdout);
}
