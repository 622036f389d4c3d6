import { createHash } from "node:crypto";
import type { Box } from "../../../support/box.js";
import type { Workload } from "./workload.js";

const pipelineBytes = 20_000_000;

/** Blocked on full pipes and on a FIFO until it may go on. */
export const pipeline: Workload = {
  name: "a shell pipeline over a FIFO",
  start: async (box, ref) => {
    const script = `mkdir /srv/pipe; cd /srv/pipe; mkfifo data gate
      yes 0123456789 | head -c ${pipelineBytes} | tr 0 a > data &
      exec 4< data; read go < gate; sha256sum <&4 > sum.new; mv sum.new sum`;
    await box.start(ref, ["bash", "-c", script], { tag: "pipeline" });
    await box.sh(ref, "until pgrep -x yes; do sleep 0.02; done");
  },
  look: async (box, ref) => {
    const alive = await box.sh(ref, "pgrep -xc 'yes|tr'");
    return { exact: alive, progress: 0 };
  },
  finish: async (box, ref) => {
    const line = "a123456789\n";
    const text = line.repeat(Math.ceil(pipelineBytes / line.length)).slice(0, pipelineBytes);
    const wanted = createHash("sha256").update(text).digest("hex");
    const got = await box.sh(
      ref,
      "cd /srv/pipe; echo > gate; until [ -e sum ]; do sleep 0.02; done; cut -d' ' -f1 sum",
    );
    if (got !== wanted) throw new Error(`the pipeline's sum is ${got} instead of ${wanted}`);
  },
};

/** A shell at a terminal that somebody typed into. */
export const terminal: Workload = {
  name: "a shell at a terminal",
  start: async (box, ref) => {
    await box.start(ref, ["bash", "--norc", "-i"], { tag: "shell", terminal: { rows: 33, columns: 101 } });
    await type(box, ref, "kept=before; PS1=; set -o history");
  },
  look: async (box, ref) => {
    const said = await type(box, ref, 'count=$((count+1)); echo "$kept $(stty size) $(tty) $- =$count"');
    const [, exact, progress] = /(before [^=]*) =(\d+)/.exec(said) ?? [];
    if (progress === undefined) throw new Error(`the shell said ${JSON.stringify(said)}`);
    return { exact, progress: Number(progress) };
  },
};

/** Types a line at the terminal; gives what appears until its end is echoed by a second command. */
async function type(box: Box, ref: string, line: string): Promise<string> {
  const end = `end-${Math.random().toString(36).slice(2)}`;
  async function* keys() {
    // Split, so that the terminal's echo of the command is not taken for its output.
    yield {
      kind: "stdin",
      data: Buffer.from(`${line}; echo ${end.slice(0, 5)}"${end.slice(5)}"\n`),
    } as const;
  }
  let shown = "";
  const events = box.node.processes.attach(ref, { tag: "shell" }, {}, keys(), AbortSignal.timeout(20_000));
  for await (const event of events) {
    if (event.kind === "output") shown += Buffer.from(event.data).toString();
    if (shown.includes(end)) break;
  }
  return shown;
}

/** No process: what a filesystem can hold, in the layer of a sandbox. */
export const files: Workload = {
  name: "files of every kind",
  start: async (box, ref) => {
    await box.sh(
      ref,
      `set -e; mkdir -p /srv/files/empty; cd /srv/files
      head -c 3000000 /dev/urandom > random; : > nothing; truncate -s 5000000 sparse; echo end >> sparse
      ln random hard; ln -s random soft; ln -s /nowhere dangling; mkfifo fifo
      echo user > user; chown 1000:1000 user; echo x > closed; chmod 0 closed
      cp /bin/true setuid; chmod 4755 setuid; mkdir sticky; chmod 1777 sticky; chmod 2775 empty
      rm /etc/debian_version; rm -r /usr/share/doc; mkdir /usr/share/doc; echo new > /usr/share/doc/new`,
    );
  },
  look: async (box, ref) => {
    const pax = "exthdr.name=%d/%f,delete=atime,delete=ctime";
    const script = `cd /; tar --sort=name --xattrs --pax-option=${pax} -cf - srv/files usr/share/doc etc/passwd | sha256sum
      test ! -e /etc/debian_version; stat -c %h /srv/files/random; find /srv/files | wc -l`;
    return { exact: await box.sh(ref, script), progress: 0 };
  },
};

/** Counts in several threads, and stands still until somebody lets it go on. */
export const stoppedJob: Workload = {
  name: "a job that is stopped",
  start: async (box, ref) => {
    const program = `
import itertools, threading, time
counters = [itertools.count() for _ in range(3)]
def run(n):
    for value in counters[n]:
        with open(f"/srv/job/{n}", "w") as f: f.write(str(value))
        time.sleep(0.001)
for n in range(3): threading.Thread(target=run, args=(n,)).start()`;
    await box.sh(ref, "mkdir /srv/job");
    await box.start(ref, ["python3", "-c", program, "stopped-job"], { tag: "job" });
    await box.sh(
      ref,
      `until [ -s /srv/job/2 ]; do sleep 0.02; done; pkill -STOP -f '[s]topped-job'
      until [ "$(${states})" = "T T T T" ]; do sleep 0.02; done`,
    );
  },
  look: async (box, ref) => {
    const exact = await box.sh(ref, `${states}; cat /srv/job/[012]`);
    return { exact, progress: 0 };
  },
  finish: async (box, ref) => {
    await box.sh(
      ref,
      `cp -r /srv/job /srv/job.before; pkill -CONT -f '[s]topped-job'
      for n in 0 1 2; do
        for i in {1..500}; do cmp -s /srv/job/$n /srv/job.before/$n || continue 2; sleep 0.02; done; exit 1
      done`,
    );
  },
};

const states = "echo $(cut -d' ' -f3 /proc/$(pgrep -of '[s]topped-job')/task/*/stat)";
