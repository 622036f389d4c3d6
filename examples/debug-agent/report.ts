/** Findings as a Markdown page for people. */
import type { Findings } from "./agent.js";
import { failureOf, type Run } from "./run.js";

export function renderReport(findings: Findings): string {
  const { at, submission, model, remembered, calls, runs, failure, repaired, diagnosis } = findings;
  const verdict =
    failure === undefined ? verdictOfNone(runs) : `It fails: **${failure.error}** ${failure.message}`;
  const lines = [
    `# ${submission.name}`,
    `${at.toISOString()}. Judged by ${model}. Each run was in a sandbox of its own, forked from one that was prepared.`,
    verdict.trimEnd(),
    "## Diagnosis",
    diagnosis,
    ...(repaired === undefined ? [] : ["## A version that runs", fenced(repaired.code, "python")]),
    "## Runs",
    ...runs.flatMap((run, index) => describeRun(run, index, run.code === submission.code)),
    "## Earlier sessions with this submission",
    remembered.length === 0
      ? "None."
      : remembered
          .map(
            ({ at: when, error, repaired: was }) =>
              `- ${when}: ${error || "no error"}${was ? ", repaired" : ""}`,
          )
          .join("\n"),
    "## Tools that were called",
    calls.map(({ name }, index) => `${index + 1}. ${name}`).join("\n") || "None.",
  ];
  return `${lines.join("\n\n")}\n`;
}

const verdictOfNone = (runs: readonly Run[]) =>
  runs.length === 0 ? "It was not run." : "It runs to its end without an error.";

function describeRun(run: Run, index: number, isSubmission: boolean): string[] {
  const { exitCode, sandboxId, forkMs, runMs, stdout, stderr } = run;
  const what = isSubmission ? "the submission" : "a changed version";
  const end = exitCode === null ? "did not end" : `exit code ${exitCode}`;
  const times = `forked in ${Math.round(forkMs)} ms, ran for ${Math.round(runMs)} ms`;
  return [
    `${index + 1}. ${what} in ${sandboxId}: ${end} (${failureOf(run)?.error ?? "no error"}); ${times}.`,
    ...(stdout === "" ? [] : ["Standard output:", fenced(stdout)]),
    ...(stderr === "" ? [] : ["Standard error:", fenced(stderr)]),
  ];
}

/** A fence that is longer than any in the text: what a program prints cannot end it. */
function fenced(text: string, language = ""): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text.trimEnd()}\n${fence}`;
}
