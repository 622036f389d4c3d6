/** Wires it: settings, memory, model, workbench, one investigation, a report. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { investigate } from "./agent.js";
import { openMemory } from "./memory.js";
import { openOpenAiCompatibleModel } from "./openai-compatible-model.js";
import { renderReport } from "./report.js";
import { openRuleBasedModel } from "./rule-based-model.js";
import { readSettings, type Settings, usage } from "./settings.js";
import { openWorkbench } from "./workbench.js";

async function debug(settings: Settings, signal: AbortSignal): Promise<string> {
  const { submission: path, outDir, openAi, runMs } = settings;
  const submission = { name: basename(path), code: readFileSync(path, "utf8") };
  const files = new Map(settings.files.map((file) => [basename(file), new Uint8Array(readFileSync(file))]));
  const model = openAi === undefined ? openRuleBasedModel() : openOpenAiCompatibleModel(openAi);
  process.stderr.write(`debug-agent: judged by ${model.description}\n`);
  using memory = openMemory(join(outDir, "memory.db"));
  await using workbench = await openWorkbench({ template: "python", name: submission.name, files, runMs });
  const findings = await investigate({ submission, model, workbench, memory }, signal);
  const report = join(outDir, `${submission.name}-${findings.at.toISOString().replaceAll(":", "")}.md`);
  mkdirSync(outDir, { recursive: true });
  writeFileSync(report, renderReport(findings));
  return report;
}

async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2), process.env);
  if (settings === undefined) return console.log(usage);
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const)
    process.once(name, () => interrupted.abort(new Error(name)));
  console.log(await debug(settings, interrupted.signal));
}

main().catch((thrown: unknown) => {
  console.error(`debug-agent: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  process.exitCode = 1;
});
