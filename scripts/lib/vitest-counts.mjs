// Prints "passed failed skipped" of a vitest JSON report. Usage: vitest-counts.mjs REPORT EXIT_CODE
import { readFileSync } from "node:fs";

const [path, exitCode] = process.argv.slice(2);
const text = readFileSync(path, "utf8");
const report = text === "" ? { testResults: [] } : JSON.parse(text);
const counts = { passed: 0, failed: 0, skipped: 0 };
for (const file of report.testResults) {
  for (const test of file.assertionResults) {
    counts[test.status === "passed" || test.status === "failed" ? test.status : "skipped"] += 1;
  }
  // A file that cannot be loaded, or whose hooks fail, reports no failed test of its own.
  if (file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"))
    counts.failed += 1;
}
// An error outside every test, or no report at all.
if (exitCode !== "0" && counts.failed === 0) counts.failed = 1;
process.stdout.write(`${counts.passed} ${counts.failed} ${counts.skipped}\n`);
