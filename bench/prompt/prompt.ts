/** Starts the server that answers at once, in a process of its own as ours is. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export interface Prompt extends AsyncDisposable {
  readonly url: string;
}

const program = fileURLToPath(new URL("server.js", import.meta.url));

export async function startPrompt(): Promise<Prompt> {
  const child = fork(program);
  const exited = once(child, "exit");
  const failed = exited.then(() => {
    throw new Error("the server that answers at once has ended");
  });
  failed.catch(() => {});
  const [port] = (await Promise.race([once(child, "message"), failed])) as [number];
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
