/** Creates through the REST route, so many at once, and how long each took. */
import { Agent, request } from "node:http";

export interface CreateLoad {
  readonly url: string;
  readonly key: string;
  readonly template: string;
  readonly atOnce: number;
  /** Whichever comes first. */
  readonly forMs: number;
  readonly count: number;
}

export interface Creates {
  readonly seconds: number;
  /** Of those that were acknowledged. */
  readonly ms: readonly number[];
  readonly ids: readonly string[];
  /** By status, and `cut` for a connection that ended before its answer. */
  readonly failures: Readonly<Record<string, number>>;
  /** The first message of each. */
  readonly messages: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** One after another in each of `atOnce` connections that stay open. */
export async function createMany(load: CreateLoad): Promise<Creates> {
  const { url, key, template, atOnce, forMs, count } = load;
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const [ms, ids]: [number[], string[]] = [[], []];
  const failures: Record<string, number> = {};
  const messages: Record<string, string> = {};
  const body = JSON.stringify({ templateID: template, timeout: 3600, metadata: { run: "bench" } });
  await Promise.all(Array.from({ length: atOnce }, () => connect(agent, url)));
  const startedAt = performance.now();
  let left = count;
  const one = async () => {
    const askedAt = performance.now();
    const answer = await post(agent, `${url}/v2/sandboxes`, key, body).catch((thrown: Error) => thrown);
    if (!(answer instanceof Error) && answer.status === 201) {
      ms.push(performance.now() - askedAt);
      ids.push((JSON.parse(answer.body) as { sandboxID: string }).sandboxID);
      return;
    }
    const what = answer instanceof Error ? "cut" : String(answer.status);
    failures[what] = (failures[what] ?? 0) + 1;
    messages[what] ??= answer instanceof Error ? answer.message : answer.body;
  };
  const worker = async () => {
    while (left-- > 0 && performance.now() - startedAt < forMs) await one();
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  agent.destroy();
  return { seconds: (performance.now() - startedAt) / 1000, ms, ids, failures, messages };
}

/** Clients keep their connections: to open them is not measured. */
function connect(agent: Agent, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asking = request(`${url}/health`, { agent }, (response) => response.resume().once("end", resolve));
    asking.once("error", reject).end();
  });
}

function post(agent: Agent, url: string, key: string, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { "x-api-key": key, "content-type": "application/json", "content-length": body.length };
    const asking = request(url, { method: "POST", agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () =>
        resolve({
          ...{ status: response.statusCode ?? 0, headers: response.headers },
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    asking.once("error", reject);
    asking.end(body);
  });
}
