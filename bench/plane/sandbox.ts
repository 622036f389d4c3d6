/** A sandbox for those who ask without E2B's client, and what they have to say with each request. */
import type { Deployment } from "./deployment.js";

export interface RawSandbox {
  readonly id: string;
  /** Words for curl and wrk. */
  headers(port: number): readonly string[];
}

export const envdPort = 49983;

export async function makeSandbox({ client, template }: Deployment): Promise<RawSandbox> {
  const answer = await fetch(`${client.apiUrl}/v2/sandboxes`, {
    method: "POST",
    headers: { "x-api-key": client.apiKey, "content-type": "application/json" },
    body: JSON.stringify({ templateID: template, timeout: 600, secure: true }),
  });
  if (!answer.ok) throw new Error(`cannot make a sandbox: ${answer.status} ${await answer.text()}`);
  const { sandboxID, envdAccessToken } = (await answer.json()) as Readonly<Record<string, string>>;
  const named = (port: number) => [
    ...[`E2b-Sandbox-Id: ${sandboxID}`, `E2b-Sandbox-Port: ${port}`],
    ...(port === envdPort ? [`X-Access-Token: ${envdAccessToken}`] : []),
  ];
  return {
    id: sandboxID ?? "",
    headers: (port) => named(port).flatMap((header) => ["-H", header]),
  };
}
