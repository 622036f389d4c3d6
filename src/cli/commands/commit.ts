import type { Command } from "commander";
import { collect, collectPairs } from "../arguments.js";
import { formatBytes, formatDuration } from "../format.js";
import { type Cli, leaf, usage } from "../session.js";

interface CommitOptions {
  readonly message?: string;
  readonly author?: string;
  readonly change?: readonly string[];
  readonly replace?: boolean;
}

export function commitCommand(cli: Cli): Command {
  return leaf("commit", "Write a sandbox's filesystem as an OCI image", [
    "commit a1b2 rl-env-step1000 -m 'after 1,000 steps'",
    "commit a1b2 my-env --change 'ENV SEED=1' --change 'CMD [\"python3\", \"serve.py\"]'",
  ])
    .argument("<sandbox>", "id, prefix or name; running, paused or stopped")
    .argument("<image>", "name of the new image")
    .option("-m, --message <text>", "goes into the image's history")
    .option("-a, --author <name>", "author in the image's history")
    .option(
      "-c, --change <instruction>",
      "ENV K=V, CMD […], ENTRYPOINT […], USER … or WORKDIR … (may be repeated)",
      collect,
    )
    .option("--replace", "take the name from an image that has it")
    .action(
      cli.action(async ({ api, out, signal }, sandbox: string, image: string, options: CommitOptions) => {
        const { message = "", author = "", change = [], replace = false } = options;
        const request = { sandbox, image, replace, comment: message, author, ...parseChanges(change) };
        const answer = await (await api()).sandboxes.commit(request, { signal });
        const { digest, durationMs } = answer;
        const json = { image: answer.image, digest, layerBytes: Number(answer.layerBytes), durationMs };
        await out.document("committed", json, (it) => it.digest);
        if (out.isJson) return;
        out.note(
          `${json.image}: new layer ${formatBytes(json.layerBytes)}, in ${formatDuration(durationMs)}`,
        );
      }),
    );
}

interface Changes {
  env: Record<string, string>;
  cmd: string[];
  entrypoint: string[];
  user: string;
  cwd: string;
}

/** Dockerfile instructions, as `docker commit --change` takes them. */
export function parseChanges(instructions: readonly string[]): Changes {
  const changes: Changes = { env: {}, cmd: [], entrypoint: [], user: "", cwd: "" };
  for (const instruction of instructions) {
    const [, word = "", rest = ""] = /^\s*(\w+)\s+(.*?)\s*$/s.exec(instruction) ?? [];
    switch (word.toUpperCase()) {
      case "ENV":
        changes.env = { ...changes.env, ...collectPairs()(rest) };
        break;
      case "CMD":
        changes.cmd = parseWords(rest);
        break;
      case "ENTRYPOINT":
        changes.entrypoint = parseWords(rest);
        break;
      case "USER":
        changes.user = rest;
        break;
      case "WORKDIR":
        changes.cwd = rest;
        break;
      default:
        throw usage(
          `change "${instruction}" is not understood`,
          "ENV K=V, CMD […], ENTRYPOINT […], USER … or WORKDIR …",
        );
    }
  }
  return changes;
}

/** `["a", "b"]` as it is; anything else is a line for /bin/sh. */
function parseWords(text: string): string[] {
  if (!text.startsWith("[")) return ["/bin/sh", "-c", text];
  try {
    const words: unknown = JSON.parse(text);
    if (Array.isArray(words) && words.every((word): word is string => typeof word === "string")) return words;
  } catch {
    // Reported below, like any other list that is none.
  }
  throw usage(`"${text}" is not a JSON list of words`, 'for example ["python3", "serve.py"]');
}
