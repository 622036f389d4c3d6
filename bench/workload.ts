/** What runs in the sandboxes and containers: a Python process that holds random bytes and sleeps. */

export interface Workload {
  readonly key: string;
  readonly name: string;
  /** Touched memory of random bytes, besides the interpreter's own. */
  readonly memoryBytes: number;
  /** Python, where it does more than hold its memory. */
  readonly program?: string;
}

export const workloads: readonly Workload[] = [
  { key: "small", name: "a small Python process", memoryBytes: 0 },
  { key: "large", name: "a Python process with 256 MiB of touched memory", memoryBytes: 256 * 1024 * 1024 },
];

/** Appears, inside, once the memory is filled. */
export const readyFile = "/tmp/ready";

export function programArgv({ memoryBytes, program = programText(memoryBytes) }: Workload): string[] {
  return ["python3", "-c", program];
}

// Random, so that neither compression nor a zero page makes anybody's work smaller.
function programText(memoryBytes: number): string {
  return [
    "import os, time",
    `memory = os.urandom(${memoryBytes})`,
    `open("${readyFile}", "w").close()`,
    "while True: time.sleep(3600)",
  ].join("\n");
}
