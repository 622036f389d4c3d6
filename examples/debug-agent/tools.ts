/** What a model may ask for. It has nothing else: no file of this machine, no network, no other sandbox. */
import { z } from "zod";
import type { Memory } from "./memory.js";
import type { Submission, ToolCall } from "./model.js";
import { failureOf, type Run } from "./run.js";
import type { Workbench } from "./workbench.js";

const runCode = z
  .strictObject({
    code: z
      .string()
      .max(100_000)
      .optional()
      .describe("A changed program. Left out: the submission as it is."),
    stdin: z.string().max(100_000).default("").describe("What it reads from standard input."),
  })
  .describe(
    "Runs a Python program in a sandbox of its own that is as fresh as the first, without a network.",
  );

const lookUpHistory = z
  .strictObject({ error: z.string().max(200).describe("Name of the exception, for example KeyError.") })
  .describe(
    "Earlier sessions, with whatever was submitted, that had this error: what was found, and if it was repaired.",
  );

const schemas = { run_code: runCode, look_up_history: lookUpHistory } as const;

/** Name, description and parameters as a JSON Schema, as APIs of language models take them. */
export const toolSpecs = Object.entries(schemas).map(([name, schema]) => {
  const { $schema, description = "", ...parameters } = z.toJSONSchema(schema, { io: "input" });
  return { name, description, parameters };
});

export interface Tools {
  /** JSON; where the call cannot be done, with `error`: a model can read that and do better. */
  call(call: ToolCall): Promise<string>;
  /** All runs so far. */
  readonly runs: readonly Run[];
}

export interface ToolsOptions {
  readonly submission: Submission;
  readonly workbench: Workbench;
  readonly memory: Pick<Memory, "withError">;
}

export function openTools({ submission, workbench, memory }: ToolsOptions): Tools {
  const runs: Run[] = [];
  const tools = {
    async run_code(input: unknown) {
      const { code = submission.code, stdin } = runCode.parse(input);
      const run = await workbench.run({ code, stdin });
      runs.push(run);
      const { exitCode, stdout, stderr } = run;
      return { exitCode, failure: failureOf(run) ?? null, stdout, stderr };
    },
    async look_up_history(input: unknown) {
      const sessions = memory.withError(lookUpHistory.parse(input).error);
      return sessions.map(({ at, submission: name, message, diagnosis, repaired }) => ({
        ...{ at, submission: name, message, diagnosis, repaired: repaired === 1 },
      }));
    },
  } satisfies Record<keyof typeof schemas, (input: unknown) => Promise<unknown>>;
  return {
    runs,
    async call({ name, arguments: json }) {
      if (!Object.hasOwn(tools, name)) return JSON.stringify({ error: `there is no tool ${name}` });
      let input: unknown;
      try {
        input = JSON.parse(json);
      } catch {
        return JSON.stringify({ error: "the arguments are no JSON" });
      }
      try {
        return JSON.stringify(await tools[name as keyof typeof tools](input));
      } catch (thrown) {
        if (!(thrown instanceof z.ZodError)) throw thrown;
        return JSON.stringify({ error: z.prettifyError(thrown) });
      }
    },
  };
}
