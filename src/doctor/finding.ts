/** What the doctor says about one aspect of a machine. Pure. */
export type Severity = "ok" | "warning" | "failure";

export interface Finding {
  /** What was looked at: a word or two. */
  readonly name: string;
  /** `failure`: sandboxes will not work. `warning`: they will, with a drawback that is told. */
  readonly status: Severity;
  readonly detail: string;
  /** What to do about it. */
  readonly fix?: string;
}

/** What is said, without the name. */
export type Judgement = Omit<Finding, "name">;

export const ok = (detail: string): Judgement => ({ status: "ok", detail });
export const warning = (detail: string, fix: string): Judgement => ({ status: "warning", detail, fix });
export const failure = (detail: string, fix: string): Judgement => ({ status: "failure", detail, fix });

/** True when nothing stands in the way of sandboxes: exit code 0. */
export function isFit(findings: readonly Finding[]): boolean {
  return findings.every(({ status }) => status !== "failure");
}

/** One line for each finding, and the fix below where there is one. */
export function renderFindings(findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map(({ name }) => name.length));
  return findings
    .flatMap(({ status, name, detail, fix }) => {
      const line = `${status.padEnd(7)}  ${name.padEnd(width)}  ${detail}`;
      return fix === undefined ? [line] : [line, `${" ".repeat(width + 11)}fix: ${fix}`];
    })
    .join("\n");
}
