/** Output of a sandbox's start command, in lines. */
import type { OwnedSandbox } from "../fleet/sandbox.js";
import { isDomainError } from "../lib/errors.js";
import type { Deps } from "./deps.js";
import type { LogLine } from "./registry.js";

/** The guest keeps less than this of a process; what a node sends beyond is not read. */
const bytesMax = 4 * 1024 * 1024;

export async function readLogs(
  { nodes, settings }: Deps,
  { id, node, state }: OwnedSandbox,
  signal: AbortSignal,
): Promise<readonly LogLine[]> {
  if (state.status !== "running") return [];
  const streams = { 1: createLines("stdout"), 2: createLines("stderr") };
  let bytes = 0;
  try {
    const chunks = nodes.api(node).sandboxes.logs({ sandbox: id }, { signal, timeoutMs: settings.askMs });
    for await (const { stream, data } of chunks) {
      bytes += data.length;
      streams[stream === 2 ? 2 : 1].add(data);
      if (bytes >= bytesMax) break;
    }
  } catch (thrown) {
    // Most templates start nothing.
    if (!isDomainError(thrown, "not_found") && !isDomainError(thrown, "failed_precondition")) throw thrown;
  }
  return [...streams[1].end(), ...streams[2].end()];
}

function createLines(stream: LogLine["stream"]) {
  const decoder = new TextDecoder();
  let text = "";
  return {
    add(data: Uint8Array) {
      text += decoder.decode(data, { stream: true });
    },
    end: (): LogLine[] =>
      `${text}${decoder.decode()}`
        .split(/\r?\n/)
        .filter((line, index, lines) => line !== "" || index < lines.length - 1)
        .map((line) => ({ stream, text: line })),
  };
}
