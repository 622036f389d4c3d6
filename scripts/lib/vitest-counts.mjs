// Prints "passed failed skipped" of a vitest JSON report, and on stderr a line for each failure and each retried test.
// Usage: vitest-counts.mjs REPORT EXIT_CODE
import { readFileSync } from "node:fs";
import { relative } from "node:path";

const [path, exitCode] = process.argv.slice(2);
const text = readFileSync(path, "utf8");
const report = text === "" ? { testResults: [] } : JSON.parse(text);
const named = (how, file, what) =>
  process.stderr.write(`${how}: ${relative(process.cwd(), file.name)}: ${what}\n`);
const counts = { passed: 0, failed: 0, skipped: 0 };
for (const file of report.testResults) {
  for (const test of file.assertionResults) {
    counts[test.status === "passed" || test.status === "failed" ? test.status : "skipped"] += 1;
    if (test.status === "failed") named("failed", file, test.fullName);
    else if (test.failureMessages?.length > 0)
      named("second try", file, `${test.fullName}: ${test.failureMessages[0].split("\n")[0]}`);
  }
  // A file that cannot be loaded, or whose hooks fail, reports no failed test of its own.
  if (file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed")) {
    counts.failed += 1;
    named("failed", file, "the file itself, or a hook");
  }
}
// An error outside every test, or no report at all.
if (exitCode !== "0" && counts.failed === 0) {
  counts.failed = 1;
  process.stderr.write(`failed: vitest ended with ${exitCode}, and no test failed\n`);
}
process.stdout.write(`${counts.passed} ${counts.failed} ${counts.skipped}\n`);
