/** How a process ended, in the words of Go's os.ProcessState, which E2B's clients show. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ProcessEvent_EndEventSchema } from "../gen/e2b/process_pb.js";
import type { ExitStatus } from "../node/processes.js";

/** Texts of Go's syscall.Signal on Linux. */
const signals: Readonly<Record<number, string>> = {
  1: "hangup",
  2: "interrupt",
  3: "quit",
  4: "illegal instruction",
  5: "trace/breakpoint trap",
  6: "aborted",
  7: "bus error",
  8: "floating point exception",
  9: "killed",
  10: "user defined signal 1",
  11: "segmentation fault",
  12: "user defined signal 2",
  13: "broken pipe",
  14: "alarm clock",
  15: "terminated",
};

export function endEvent(status: ExitStatus): MessageInitShape<typeof ProcessEvent_EndEventSchema> {
  if (status.kind === "code") {
    const text = `exit status ${status.code}`;
    const failure = status.code === 0 ? {} : { error: text };
    return { exitCode: status.code, exited: true, status: text, ...failure };
  }
  const text = `signal: ${signals[status.signal] ?? `signal ${status.signal}`}`;
  return { exitCode: -1, exited: false, status: text, error: text };
}
