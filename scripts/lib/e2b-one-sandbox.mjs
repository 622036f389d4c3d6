// Around lane C of scripts/e2b-suite: makes a sandbox without a token, has ports of this machine's loopback lead to it
// while a command runs, and kills it. Ends as the command does.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { request } from "node:https";

/** What the clients think envd has, and what a test of the suite serves in its sandbox. */
const ports = [49_983, 8_000];
const { E2B_DOMAIN: domain, E2B_API_KEY: key } = process.env;

async function ask(method, path, body) {
  const headers = { "x-api-key": key, "content-type": "application/json" };
  const answer = await fetch(`https://api.${domain}${path}`, { method, headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? undefined : answer.json();
}

/** Who leaves on one side is known on the other. */
function carry(sandbox, port) {
  const host = `${port}-${sandbox}.${domain}`;
  return (asked, answer) => {
    const { host: _, ...headers } = asked.headers;
    const onward = request(`https://${host}${asked.url}`, { method: asked.method, headers });
    onward.on("response", (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer).on("error", () => got.destroy());
      got.on("error", () => answer.destroy());
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
  };
}

const [command, ...words] = process.argv.slice(2);
const { sandboxID } = await ask("POST", "/sandboxes", { templateID: "base", timeout: 3600 });
try {
  for (const port of ports) {
    const server = createServer(carry(sandboxID, port)).listen(port, "localhost").unref();
    await once(server, "listening");
  }
  const child = spawn(command, words, { stdio: "inherit" });
  const [code] = await once(child, "exit");
  process.exitCode = code ?? 1;
} finally {
  await ask("DELETE", `/sandboxes/${sandboxID}`);
}
process.exit();
