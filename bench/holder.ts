/** A process that holds random bytes, changes one page in a hundred, and tells what it holds, when it is asked. */
import type { Api } from "../src/cli/client.js";
import { readyFile, type Workload } from "./workload.js";

const mib = 1024 * 1024;
const pageBytes = 4096;

export function holderOf(sizeMib: number): Workload {
  const memoryBytes = sizeMib * mib;
  return {
    key: `holder-${sizeMib}`,
    name: `a Python process that holds ${sizeMib} MiB`,
    memoryBytes,
    program: programText(memoryBytes),
  };
}

// Signals that are waited for, not handled: none is lost between two waits, and a restore brings pending ones back.
function programText(memoryBytes: number): string {
  return `
import hashlib, os, signal
wanted = {signal.SIGUSR1, signal.SIGUSR2}
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
def say(name, text):
    with open("/tmp/new", "w") as file:
        file.write(text)
    os.rename("/tmp/new", name)
size = ${memoryBytes}
memory = bytearray(size)
for at in range(0, size, ${mib}):
    memory[at:at + ${mib}] = os.urandom(${mib})
say("/tmp/pid", str(os.getpid()))
say("${readyFile}", "")
while True:
    if signal.sigwait(wanted) == signal.SIGUSR1:
        for at in range(0, size, ${100 * pageBytes}):
            memory[at] = memory[at] + 1 & 255
        say("/tmp/answer", "changed")
    else:
        digest = hashlib.sha256()
        for at in range(0, size, ${mib / 4}):
            digest.update(memory[at:at + ${pageBytes}])
        say("/tmp/answer", digest.hexdigest())
`.trim();
}

/** Of the first page of each 256 KiB: it reads in all of the memory, and takes milliseconds. */
export const digestOf = (api: Api, sandbox: string) => ask(api, sandbox, "USR2");

/** The same, for a shell in the process's container. */
export const digestScript = askScript("USR2");

/** The same pages each time. */
export const changeOnePercent = (api: Api, sandbox: string) => ask(api, sandbox, "USR1");

/** A started process may still be filling its memory. */
export const waitUntilReady = (api: Api, sandbox: string) =>
  shell(api, sandbox, `${until(`test -e ${readyFile}`)} && echo ready`);

function askScript(signal: string): string {
  return `rm -f /tmp/answer && kill -${signal} $(cat /tmp/pid) && ${until("test -e /tmp/answer")} && cat /tmp/answer`;
}

async function ask(api: Api, sandbox: string, signal: string): Promise<string> {
  const answer = await shell(api, sandbox, askScript(signal));
  if (answer === "") throw new Error(`the process in ${sandbox} does not answer`);
  return answer;
}

function until(condition: string): string {
  return `i=0; until ${condition}; do i=$((i + 1)); [ $i -lt 12000 ] || exit 1; sleep 0.01; done`;
}

/** What a command wrote to standard output. */
export async function shell(api: Api, sandbox: string, script: string): Promise<string> {
  async function* requests() {
    yield { message: { case: "start" as const, value: { sandbox, argv: ["/bin/sh", "-c", script] } } };
  }
  const chunks: Uint8Array[] = [];
  for await (const { event } of api.processes.exec(requests())) {
    if (event.case === "output" && event.value.stream === 1) chunks.push(event.value.data);
    if (event.case !== "exited") continue;
    const { result } = event.value;
    if (result.case === "exitCode" && result.value === 0) return Buffer.concat(chunks).toString().trim();
    throw new Error(`a command in ${sandbox} ended with ${result.case} ${result.value}: ${script}`);
  }
  throw new Error(`a command in ${sandbox} was cut off: ${script}`);
}
