/** The one reader of arguments and environment. */
import { parseArgs } from "node:util";
import type { OpenAiSettings } from "./openai-compatible-model.js";

export interface Settings {
  readonly submission: string;
  /** What is put beside it. */
  readonly files: readonly string[];
  readonly outDir: string;
  readonly runMs: number;
  /** undefined: the rules answer. */
  readonly openAi: OpenAiSettings | undefined;
}

export const usage = `Usage: npm run debug-agent -- [--out DIR] [--seconds N] SUBMISSION.py [FILE...]

Runs a Python program in sandboxes, finds out why it fails, and writes a report. FILEs are put beside it.

  --out DIR      reports, and memory.db with what was found before (default debug-reports)
  --seconds N    how long a run may take (default 10)

  E2B_API_URL, E2B_SANDBOX_URL, E2B_API_KEY   where Ramet is (examples/README.md)
  OPENAI_MODEL      the language model to ask. Without it a table of rules stands in for one
  OPENAI_BASE_URL   its server, up to /v1 (default https://api.openai.com/v1)
  OPENAI_API_KEY    its key, if the server wants one`;

type Env = Readonly<Record<string, string | undefined>>;

/** Throws what is wrong with them; undefined where help was asked for. */
export function readSettings(argv: readonly string[], env: Env): Settings | undefined {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      out: { type: "string", default: "debug-reports" },
      seconds: { type: "string", default: "10" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const [submission, ...files] = positionals;
  if (submission === undefined) throw new Error("which program? See --help");
  const seconds = Number(values.seconds);
  if (!(seconds >= 0.1 && seconds <= 300)) throw new Error(`--seconds is 0.1 to 300, not ${values.seconds}`);
  if (!env["E2B_API_URL"] && !env["E2B_DOMAIN"])
    throw new Error(
      "E2B_API_URL is not set. For what scripts/quickstart leaves running:\n  export " +
        "E2B_API_URL=http://127.0.0.1:7070 E2B_SANDBOX_URL=http://127.0.0.1:7070 E2B_API_KEY=e2b_0",
    );
  return { submission, files, outDir: values.out, runMs: seconds * 1000, openAi: readOpenAi(env) };
}

function readOpenAi(env: Env): OpenAiSettings | undefined {
  const model = env["OPENAI_MODEL"];
  if (!model) return undefined;
  const baseUrl = env["OPENAI_BASE_URL"] || "https://api.openai.com/v1";
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:")
    throw new Error(`OPENAI_BASE_URL is no http or https address: ${baseUrl}`);
  const apiKey = env["OPENAI_API_KEY"]?.trim() || undefined;
  // A header would be refused, with the key in the message.
  if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey))
    throw new Error("OPENAI_API_KEY has characters that no key has; was something else pasted?");
  return { baseUrl, model, apiKey, timeoutMs: 120_000, retryMs: 1_000 };
}
