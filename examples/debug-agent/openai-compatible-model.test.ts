/** The client against a small server that speaks the documented wire format: it stands in for the remote service alone. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openOpenAiCompatibleModel } from "./openai-compatible-model.js";

const key = "sk-secret-0123456789";
const submission = { name: "a.py", code: "print(1)" };
const conversation = { task: { submission, remembered: [] }, steps: [] };

let server: Server;
let asked: { request: IncomingMessage; body: string }[];
/** In the order in which they are given; the last one again and again. */
let answers: { status?: number; body: string; headers?: Record<string, string> }[];

beforeEach(async () => {
  asked = [];
  server = createServer(async (request, response) => {
    asked.push({ request, body: await text(request) });
    const {
      status = 200,
      body,
      headers,
    } = answers[Math.min(asked.length, answers.length) - 1] ?? { body: "" };
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

const baseUrl = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
function next(
  more: {
    baseUrl?: string;
    conversation?: Parameters<ReturnType<typeof openOpenAiCompatibleModel>["next"]>[0];
  } = {},
) {
  const settings = {
    baseUrl: more.baseUrl ?? baseUrl(),
    model: "m",
    apiKey: key,
    timeoutMs: 30_000,
    retryMs: 1,
  };
  return openOpenAiCompatibleModel(settings).next(
    more.conversation ?? conversation,
    AbortSignal.timeout(60_000),
  );
}
const messageOf = (wanted: Promise<unknown>) =>
  wanted.then(
    () => "no error",
    (error: Error) => error.message,
  );
const said = (message: object) =>
  JSON.stringify({ choices: [{ index: 0, message: { role: "assistant", ...message } }] });
const refused = (message: string) => JSON.stringify({ error: { message, type: "e", code: null } });

describe("an OpenAI-compatible model", () => {
  it("asks with key, tools and what happened so far, and reads tool calls and text", async () => {
    const call = { id: "c1", type: "function", function: { name: "run_code", arguments: "{}" } };
    answers = [
      { body: said({ content: null, tool_calls: [call] }) },
      { body: said({ content: "It is fine." }) },
    ];
    const first = await next();
    expect(first).toEqual({ kind: "calls", calls: [{ id: "c1", name: "run_code", arguments: "{}" }] });
    const steps = first.kind === "calls" ? [{ calls: first.calls, results: ['{"exitCode":0}'] }] : [];
    expect(await next({ conversation: { ...conversation, steps } })).toEqual({
      kind: "diagnosis",
      text: "It is fine.",
    });
    const [one, two] = asked.map(({ request, body }) => ({ request, sent: JSON.parse(body) }));
    expect(one?.request.url).toBe("/v1/chat/completions");
    expect(one?.request.headers.authorization).toBe(`Bearer ${key}`);
    expect(one?.sent.tools.map((tool: { function: { name: string } }) => tool.function.name)).toEqual([
      "run_code",
      "look_up_history",
    ]);
    expect(two?.sent.messages.slice(2)).toEqual([
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", tool_call_id: "c1", content: '{"exitCode":0}' },
    ]);
  });

  it("says that the key is refused, without the key, and asks once", async () => {
    answers = [{ status: 401, body: refused(`Incorrect API key provided: ${key}`) }];
    const message = await messageOf(next());
    expect(message).toContain("answered 401: Incorrect API key provided: *** (check OPENAI_API_KEY)");
    expect(message).not.toContain(key);
    expect(asked).toHaveLength(1);
  });

  it.each([429, 500])("asks again after %s, and says so when it stays", async (status) => {
    answers = [
      { status, body: refused("not now"), headers: { "retry-after": "0" } },
      { body: said({ content: "Now." }) },
    ];
    expect(await next()).toEqual({ kind: "diagnosis", text: "Now." });
    answers = [{ status, body: refused("not now") }];
    asked = [];
    expect(await messageOf(next())).toMatch(new RegExp(`answered ${status}: not now .*asked 3 times`));
    expect(asked).toHaveLength(3);
  });

  it.each([
    ["<html>", "no JSON"],
    ["{}", "another form"],
    [said({ content: null }), "neither text nor a tool call"],
  ])("refuses the answer %s", async (body, message) => {
    answers = [{ body }];
    expect(await messageOf(next())).toContain(message);
  });

  it("follows no redirect with the key, and says whom it cannot reach", async () => {
    answers = [{ status: 307, body: "", headers: { location: "/elsewhere" } }];
    expect(await messageOf(next())).toContain("cannot be reached");
    expect(asked.every(({ request }) => request.url === "/v1/chat/completions")).toBe(true);
    expect(await messageOf(next({ baseUrl: "http://127.0.0.1:1/v1" }))).toContain(
      "127.0.0.1:1 cannot be reached",
    );
  });
});
