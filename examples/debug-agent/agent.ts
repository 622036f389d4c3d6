/** The agent: it asks the model, does what the model asks for, and remembers what came of it. */
import { createHash } from "node:crypto";
import type { Memory, Session } from "./memory.js";
import type { Model, Step, Submission, ToolCall } from "./model.js";
import { type Failure, failureOf, type Run } from "./run.js";
import { openTools } from "./tools.js";
import type { Workbench } from "./workbench.js";

export interface Findings {
  readonly at: Date;
  readonly submission: Submission;
  readonly model: string;
  readonly remembered: readonly Session[];
  readonly calls: readonly ToolCall[];
  readonly runs: readonly Run[];
  /** Of the submission as it is; undefined where it runs without an error, or was not run. */
  readonly failure: Failure | undefined;
  /** The last changed version that ran without an error. */
  readonly repaired: Run | undefined;
  readonly diagnosis: string;
}

export interface Investigation {
  readonly submission: Submission;
  readonly model: Model;
  readonly workbench: Workbench;
  readonly memory: Memory;
}

const turnsMax = 12;

export async function investigate(
  { submission, model, workbench, memory }: Investigation,
  signal: AbortSignal,
): Promise<Findings> {
  const remembered = memory.ofSubmission(submission.name);
  const task = { submission, remembered };
  const tools = openTools({ submission, workbench, memory });
  const steps: Step[] = [];
  let diagnosis = `The model came to no diagnosis in ${turnsMax} turns.`;
  for (let turn = 0; turn < turnsMax; turn++) {
    signal.throwIfAborted();
    const next = await model.next({ task, steps }, signal);
    if (next.kind === "diagnosis") {
      diagnosis = next.text;
      break;
    }
    const results: string[] = [];
    for (const call of next.calls) results.push(await tools.call(call));
    steps.push({ calls: next.calls, results });
  }
  const findings = {
    ...{ at: new Date(), submission, model: model.description, remembered, diagnosis },
    ...judge(submission, tools.runs),
    calls: steps.flatMap(({ calls }) => calls),
  };
  memory.record(sessionOf(findings));
  return findings;
}

/** What the runs say, whatever the model makes of it. */
function judge(
  submission: Submission,
  runs: readonly Run[],
): Pick<Findings, "runs" | "failure" | "repaired"> {
  const own = runs.filter(({ code }) => code === submission.code);
  const failed = own.find((run) => failureOf(run) !== undefined);
  const failure = failed === undefined ? undefined : failureOf(failed);
  const changed = runs.filter(({ code, exitCode }) => code !== submission.code && exitCode === 0);
  return { runs, failure, repaired: failure === undefined ? undefined : changed.at(-1) };
}

function sessionOf({ at, submission, model, failure, repaired, diagnosis }: Findings): Session {
  return {
    at: at.toISOString(),
    submission: submission.name,
    digest: createHash("sha256").update(submission.code).digest("hex"),
    error: failure?.error ?? "",
    message: failure?.message ?? "",
    diagnosis,
    repaired: repaired === undefined ? 0 : 1,
    model,
  };
}
