/** Sandboxes that are paused or gone, or become so while something is under way, over HTTP. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { Sandbox } from "e2b";
import { describe, expect, it } from "vitest";
import { delay } from "../../../src/lib/signal.js";
import { becomes } from "../../support/box.js";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("envd-not-running");
const options = () => ({ apiKey: mainKey, apiUrl: box.url, sandboxUrl: box.url });

/** Without a token. */
async function ask(path: string, id: string) {
  const headers = { "e2b-sandbox-id": id, "e2b-sandbox-port": "49983" };
  const answer = await fetch(`${box.url}${path}`, { headers });
  const body = await answer.text();
  return { status: answer.status, body: body === "" ? body : JSON.parse(body) };
}

describe("sandboxes that do not run", () => {
  it("are answered as E2B does", async () => {
    const gone = { sandboxId: "nowhere1", message: "The sandbox was not found", code: 502 };
    expect(await ask("/health", "nowhere1")).toMatchObject({ status: 502, body: gone });
    const made = await Sandbox.create("base", options());
    await made.pause();
    expect((await ask("/health", made.sandboxId)).status).toBe(502);
    expect(await made.isRunning()).toBe(false);
    await made.kill();
  });

  it("are answered so by what was under way when they were paused or deleted", async () => {
    const made = await Sandbox.create("base", options());
    const headers = {
      ...{
        "e2b-sandbox-id": made.sandboxId,
        "content-type": "application/octet-stream",
        "content-length": "6",
      },
      "x-access-token": (await box.ask("GET", `/sandboxes/${made.sandboxId}`)).body.envdAccessToken,
    };
    const answered = (url: string, more: Readonly<Record<string, string>>, method: string, part?: string) => {
      const asking = request(`${box.url}${url}`, { method, headers: { ...headers, ...more } });
      const answer = once(asking, "response").then(async ([given]: IncomingMessage[]) => ({
        status: given?.statusCode,
        body: given === undefined ? undefined : JSON.parse(await text(given)),
      }));
      if (part === undefined) asking.end();
      else asking.write(part);
      return { asking, answer };
    };
    const gone = { sandboxId: made.sandboxId, message: "The sandbox was not found", code: 502 };
    const silent = `python3 -c 'import socket, time; s = socket.create_server(("", 8000)); c = s.accept(); open("/tmp/asked", "w"); time.sleep(1000)'`;
    await made.commands.run(silent, { background: true, timeoutMs: 0 });
    const onPort = { "e2b-sandbox-port": "8000", "content-length": "0" };
    const got = answered("/", onPort, "GET");
    await becomes("asked", () => made.files.exists("/tmp/asked"));
    await delay(150);
    await made.pause();
    expect(await got.answer).toEqual({ status: 502, body: gone });
    await Sandbox.connect(made.sandboxId, options());
    const upload = answered("/files?path=/tmp/part", { "e2b-sandbox-port": "49983" }, "POST", "abc");
    await becomes("begun", () => made.files.exists("/tmp/part"));
    const startedAt = performance.now();
    await made.kill();
    upload.asking.end("def");
    expect(await upload.answer).toEqual({ status: 502, body: gone });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it("wake on traffic where they were made so, once for all that ask, and for nobody without a token", async () => {
    const lifecycle = { onTimeout: "pause", autoResume: true } as const;
    const made = await Sandbox.create("base", { ...options(), lifecycle });
    await made.files.write("/tmp/kept", "kept");
    await made.pause();
    expect((await ask("/envs", made.sandboxId)).status).toBe(401);
    expect((await made.getInfo()).state).toBe("paused");
    const reads = await Promise.all(Array.from({ length: 150 }, () => made.files.read("/tmp/kept")));
    expect(new Set(reads)).toEqual(new Set(["kept"]));
    expect((await made.getInfo()).state).toBe("running");
    await made.kill();
  });

  it("wake for who waits, whoever has left before", async () => {
    const lifecycle = { onTimeout: "pause", autoResume: true } as const;
    const made = await Sandbox.create("base", { ...options(), lifecycle });
    await made.pause();
    const leaving = new AbortController();
    const headers = { "e2b-sandbox-id": made.sandboxId, "e2b-sandbox-port": "49983" };
    const asked = Array.from({ length: 20 }, () =>
      fetch(`${box.url}/health`, { headers, signal: leaving.signal }),
    );
    const left = Promise.allSettled(asked);
    const stayed = ask("/health", made.sandboxId);
    await delay(30);
    leaving.abort();
    expect((await stayed).status).toBe(204);
    await left;
    await made.kill();
  });
});
