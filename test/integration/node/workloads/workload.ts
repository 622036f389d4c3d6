/** A program that keeps state which a checkpoint must not lose, and how to ask it over HTTP or TCP. */
import type { Box } from "../../../support/box.js";

/** What a workload shows of itself. */
export interface Facts {
  /** Has to stay as it is, over everything. */
  readonly exact: unknown;
  /** Never goes back, and goes on. */
  readonly progress: number;
}

export interface Workload {
  readonly name: string;
  start(box: Box, ref: string): Promise<void>;
  look(box: Box, ref: string): Promise<Facts>;
  /** At the end of each copy's life: brings it to its conclusion, and fails when that is wrong. */
  finish?(box: Box, ref: string): Promise<void>;
}

/** Asks a server in the sandbox for one line of JSON. */
export async function ask(box: Box, ref: string, port: number, question = "look"): Promise<Facts> {
  const answer = await box.sh(
    ref,
    `exec 3<>/dev/tcp/127.0.0.1/${port} && echo ${question} >&3 && timeout 20 head -n 1 <&3`,
  );
  return JSON.parse(answer) as Facts;
}

/** The last line of a GET's answer. */
export async function askHttp(box: Box, ref: string, port: number): Promise<Facts> {
  const script = `exec 3<>/dev/tcp/127.0.0.1/${port}
    printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; timeout 20 tail -n 1 <&3`;
  return JSON.parse(await box.sh(ref, script)) as Facts;
}

export async function untilAnswers(box: Box, ref: string, port: number): Promise<void> {
  await box.sh(
    ref,
    `for i in {1..1000}; do (exec 3<>/dev/tcp/127.0.0.1/${port}) 2>/dev/null && exit; sleep 0.02; done; exit 1`,
  );
}
