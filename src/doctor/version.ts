/** Comparison of dotted version numbers. Pure. */

/** Whether `version` (such as `6.18.44-cloud`) is `least` (such as `5.19`) or later. Text after the numbers is ignored. */
export function isAtLeast(version: string, least: string): boolean {
  const numbers = (text: string) => (/^\d+(?:\.\d+)*/.exec(text)?.[0] ?? "").split(".").map(Number);
  const [found, wanted] = [numbers(version), numbers(least)];
  for (const [index, want] of wanted.entries()) {
    const have = found[index] ?? 0;
    if (have !== want) return have > want;
  }
  return true;
}
