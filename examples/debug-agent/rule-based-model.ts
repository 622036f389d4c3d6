/**
 * A stand-in for a language model, so that the example runs without one. It looks the error's name up in a table, and
 * understands nothing: neither the program, nor what it is meant to do.
 */
import { z } from "zod";
import type { Conversation, Model, Step, Submission, Turn } from "./model.js";
import type { Failure } from "./run.js";

interface Rule {
  readonly error: RegExp;
  readonly cause: (message: string) => string;
  /** A changed program that may work; undefined where there is none. */
  readonly repair?: (code: string, message: string) => string | undefined;
}

const modules = new Set(["csv", "datetime", "json", "math", "os", "random", "re", "sys", "time"]);
const nameOf = (message: string) => /'(\w+)'/.exec(message)?.[1] ?? "";

const rules: readonly Rule[] = [
  {
    error: /^NameError$/,
    cause: (message) =>
      modules.has(nameOf(message))
        ? `The module \`${nameOf(message)}\` is used, and nothing imports it.`
        : `\`${nameOf(message)}\` is used before anything gives it a value: a misspelt name, or a missing line.`,
    repair: (code, message) =>
      modules.has(nameOf(message)) ? `import ${nameOf(message)}\n${code}` : undefined,
  },
  {
    error: /^(TabError|IndentationError)$/,
    cause: () => "Lines of one block are not indented alike; tabs and spaces may be mixed.",
    repair: (code) => (code.includes("\t") ? code.replaceAll("\t", "    ") : undefined),
  },
  {
    error: /^ZeroDivisionError$/,
    cause: () => "Something is divided by a number that can be 0: often the length of an empty list.",
  },
  {
    error: /^(ModuleNotFoundError|ImportError)$/,
    cause: (message) =>
      `The module \`${nameOf(message)}\` is not in the sandbox's image. A sandbox cannot fetch it: it belongs into the template.`,
  },
  {
    error: /^(KeyError|IndexError)$/,
    cause: (message) => `Something is looked up that is not there: ${message}.`,
  },
  {
    error: /^(ValueError|TypeError|AttributeError)$/,
    cause: (message) => `A value is not of the kind that the program expects: ${message}.`,
  },
  {
    error: /^timeout$/,
    cause: () =>
      "It does not end: a loop whose condition never becomes false, or a wait for what never comes.",
  },
  {
    error: /^killed$/,
    cause: (message) =>
      `From outside, ${message}; signal 9 is what too much memory gets, 25 a file that is too large.`,
  },
];

const runResult = z.object({ failure: z.object({ error: z.string(), message: z.string() }).nullable() });
const historyResult = z.array(z.object({ submission: z.string(), at: z.string(), repaired: z.boolean() }));

export function openRuleBasedModel(): Model {
  return {
    description:
      `a table of ${rules.length} rules (RuleBasedModel), which stands in for a language model: ` +
      "it knows errors by their names, and understands nothing",
    next: async (conversation) => nextTurn(conversation),
  };
}

/** Run it; look its error up; try the rule's repair, if there is one; say what was found. */
function nextTurn({ task, steps }: Conversation): Turn {
  const [ran, looked, repaired] = steps;
  if (ran === undefined) return call("run_code", {});
  const { failure } = parsed(runResult, ran);
  if (failure === null)
    return {
      kind: "diagnosis",
      text: "It runs to its end without an error. Whether its output is right, no rule can tell.",
    };
  if (looked === undefined) return call("look_up_history", { error: failure.error });
  const change = repairOf(task.submission, failure);
  if (change !== undefined && repaired === undefined) return call("run_code", { code: change });
  const history = parsed(historyResult, looked);
  const parts = [
    causeOf(failure),
    outcomeOf(repaired),
    historyOf(history),
    memoryOf(task.remembered, failure),
  ];
  return { kind: "diagnosis", text: parts.filter((part) => part !== "").join("\n\n") };
}

const call = (name: string, input: object): Turn => ({
  kind: "calls",
  calls: [{ id: name, name, arguments: JSON.stringify(input) }],
});

const ruleOf = ({ error }: Failure) => rules.find((rule) => rule.error.test(error));
const repairOf = ({ code }: Submission, failure: Failure) => ruleOf(failure)?.repair?.(code, failure.message);

const causeOf = (failure: Failure) =>
  ruleOf(failure)?.cause(failure.message) ?? `No rule knows \`${failure.error}\`: ${failure.message}`;

function outcomeOf(repaired: Step | undefined): string {
  if (repaired === undefined) return "";
  const { failure } = parsed(runResult, repaired);
  return failure === null
    ? "The rule's change was tried, and the program runs with it."
    : `The rule's change was tried, and is not enough: ${failure.error} comes then.`;
}

const historyOf = (history: z.infer<typeof historyResult>) =>
  history.length === 0
    ? "The history has no session with this error."
    : `The history has it: ${history.map(({ submission, at, repaired }) => `${submission} (${at}${repaired ? ", repaired" : ""})`).join(", ")}.`;

function memoryOf(remembered: Conversation["task"]["remembered"], failure: Failure): string {
  const [last] = remembered;
  if (last === undefined) return "";
  if (last.error === failure.error) return `It had the same error in its last session, ${last.at}.`;
  return `In its last session, ${last.at}, it had ${last.error === "" ? "no error" : last.error}.`;
}

/** Of the first call of a step: these rules make one at a time. */
function parsed<T>(schema: z.ZodType<T>, { results: [result = ""] }: Step): T {
  return schema.parse(JSON.parse(result));
}
