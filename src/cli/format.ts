/** Tables, sizes and times for people. */

/** Binary units with three digits: `512 B`, `1.5 KiB`, `23.4 MiB`. */
export function formatBytes(bytes: number | bigint): string {
  let value = Number(bytes);
  if (value < 1024) return `${value} B`;
  for (const unit of ["KiB", "MiB", "GiB"]) {
    value /= 1024;
    if (value < 1023.95) return `${value < 100 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
  }
  return `${(value / 1024).toFixed(1)} TiB`;
}

/** How long: `85 ms`, `4.2 s`, `12 min`, `3 h`, `5 days`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = seconds / 60;
  if (minutes < 120) return `${Math.round(minutes)} min`;
  const hours = minutes / 60;
  return hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} days`;
}

/** Nothing rounded off, as options take it: `10h`, `90m`, `45s`, `1500ms`. */
export function exactDuration(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

export function formatAge(since: Date | undefined, now: Date): string {
  if (since === undefined) return "-";
  const seconds = Math.max(0, Math.floor((now.getTime() - since.getTime()) / 1000));
  return `${seconds < 120 ? `${seconds} s` : formatDuration(seconds * 1000)} ago`;
}

/** `drwxr-xr-x`, as ls prints it. */
export function formatMode(type: string, mode: number): string {
  const kind = { directory: "d", symlink: "l", regular: "-" }[type] ?? "?";
  const letters = [..."rwxrwxrwx"].map((letter, index) => ((mode >> (8 - index)) & 1 ? letter : "-"));
  const special = [
    { bit: 0o4000, at: 2, letter: "s" },
    { bit: 0o2000, at: 5, letter: "s" },
    { bit: 0o1000, at: 8, letter: "t" },
  ];
  for (const { bit, at, letter } of special)
    if (mode & bit) letters[at] = letters[at] === "x" ? letter : letter.toUpperCase();
  return kind + letters.join("");
}

/** Columns two blanks apart, the last one unpadded; what a sandbox could have written is made harmless. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows].map((row) => row.map(printable));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Control characters as `\x1b`, so that no file name or argument can drive the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** Quotes words the way a shell would need them. */
export function formatCommand(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ");
}
