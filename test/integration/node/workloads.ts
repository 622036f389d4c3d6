/** Programs that keep state which a checkpoint must not lose, each with a way to look at that state. */
import { createHash } from "node:crypto";
import type { Box } from "../../support/box.js";

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
async function ask(box: Box, ref: string, port: number, question = "look"): Promise<Facts> {
  const answer = await box.sh(
    ref,
    `exec 3<>/dev/tcp/127.0.0.1/${port} && echo ${question} >&3 && timeout 20 head -n 1 <&3`,
  );
  return JSON.parse(answer) as Facts;
}

/** Python that answers each connection's line with what `look()` gives. */
const answering = (port: number) => `
import json, socket, sys, threading
def serve():
    s = socket.create_server(('127.0.0.1', ${port}))
    while True:
        c, _ = s.accept()
        with c, c.makefile('rw') as f:
            f.readline()
            f.write(json.dumps(look()) + '\\n')
`;

function python(name: string, port: number, program: string): Workload {
  return {
    name,
    start: async (box, ref) => {
      await box.start(ref, ["python3", "-c", `${answering(port)}${program}\nserve()`], { tag: name });
      await untilAnswers(box, ref, port);
    },
    look: (box, ref) => ask(box, ref, port),
  };
}

async function untilAnswers(box: Box, ref: string, port: number): Promise<void> {
  await box.sh(
    ref,
    `for i in {1..1000}; do (exec 3<>/dev/tcp/127.0.0.1/${port}) 2>/dev/null && exit; sleep 0.02; done; exit 1`,
  );
}

const threads = python(
  "python with threads",
  7001,
  `
import hashlib, os
still = bytearray(os.urandom(8 << 20))
counts = [0] * 4
def run(n):
    while True:
        counts[n] += 1
        threading.Event().wait(0.001)
workers = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(4)]
for w in workers: w.start()
def look():
    alive = sum(w.is_alive() for w in workers)
    return {'exact': [hashlib.sha256(still).hexdigest(), alive], 'progress': min(counts)}
`,
);

/** In memory it counts, and in the file it writes the same numbers: at no instant may one be without the other. */
const appendLog = python(
  "a log that follows memory",
  7002,
  `
log = open('/var/log.txt', 'ab', buffering=0)
lock = threading.Lock()
state = {'n': 0}
def run():
    while True:
        for _ in range(20):
            with lock:
                state['n'] += 1
                log.write(b'%d\\n' % state['n'])
        threading.Event().wait(0.005)
threading.Thread(target=run, daemon=True).start()
def look():
    with lock:
        n = state['n']
        right = open('/var/log.txt').read() == ''.join('%d\\n' % i for i in range(1, n + 1))
        if n > 50000:
            log.truncate(0)
            state['n'] = 0
    state['all'] = state.get('all', 0) + 1
    return {'exact': right, 'progress': state['all']}
`,
);

const deletedFile = python(
  "a deleted open file",
  7003,
  `
import hashlib, os
f = open('/tmp/doomed', 'w+b')
f.write(os.urandom(3 << 20))
f.flush()
os.unlink('/tmp/doomed')
size = 3 << 20
def look():
    global size
    f.seek(0, 2)
    assert f.tell() == size, (f.tell(), size)
    f.write(b'x'); f.flush()
    size += 1
    f.seek(0)
    data = f.read()
    assert data[3 << 20:].strip(b'x') == b''
    gone = not os.path.exists('/tmp/doomed')
    return {'exact': [hashlib.sha256(data[:3 << 20]).hexdigest(), gone], 'progress': size}
`,
);

/** Both ends of a connection, with bytes on their way that nobody reads before the next look. */
const connection = python(
  "an established TCP connection",
  7004,
  `
listener = socket.create_server(('127.0.0.1', 7104))
near = socket.create_connection(('127.0.0.1', 7104))
far, _ = listener.accept()
state = {'sent': 0}
def send():
    state['sent'] += 1
    near.sendall(b'%08d' % state['sent'] * 1000)
send()
def look():
    want = b'%08d' % state['sent'] * 1000
    got = b''
    while len(got) < len(want): got += far.recv(len(want) - len(got))
    far.sendall(b'ok')
    right = got == want and near.recv(2) == b'ok'
    ports = [near.getsockname()[1], far.getpeername()[1]]
    send()
    return {'exact': [right, ports], 'progress': state['sent']}
`,
);

/** A sender that is ahead of its reader by all that the kernel holds: its send queue is full. */
const lagging = python(
  "a TCP connection whose reader lags",
  7006,
  `
import os
listener = socket.create_server(('127.0.0.1', 7106))
near = socket.create_connection(('127.0.0.1', 7106))
far, _ = listener.accept()
near.setblocking(False)
state = {'sent': 0, 'got': 0}
block = os.urandom(65537)
def pattern(start, size):
    return (block * (size // 65537 + 2))[start % 65537:][:size]
def fill():
    while True:
        try:
            state['sent'] += near.send(pattern(state['sent'], 65536))
        except BlockingIOError:
            return
fill()
def look():
    size = state['sent'] - state['got']
    got = b''
    while len(got) < size: got += far.recv(size - len(got))
    right = got == pattern(state['got'], size)
    state['got'] += size
    fill()
    return {'exact': [right, size > 65536], 'progress': state['sent']}
`,
);

const nodeProgram = `
const fs = require("node:fs"), http = require("node:http"), crypto = require("node:crypto");
const still = crypto.randomBytes(4 << 20);
const log = fs.openSync("/var/ticks.txt", "a");
let ticks = 0;
setInterval(() => { fs.writeSync(log, ++ticks + "\\n"); }, 5);
http.createServer((request, response) => {
  const lines = fs.readFileSync("/var/ticks.txt", "utf8").trim().split("\\n");
  const right = lines.length === ticks && lines.every((line, i) => Number(line) === i + 1);
  const hash = crypto.createHash("sha256").update(still).digest("hex");
  response.end(JSON.stringify({ exact: [hash, right], progress: ticks }) + "\\n");
}).listen(7005, "127.0.0.1");
`;

const nodeServer: Workload = {
  name: "Node with timers, a file and an HTTP server",
  start: async (box, ref) => {
    await box.start(ref, ["node", "-e", nodeProgram], { tag: "node" });
    await untilAnswers(box, ref, 7005);
  },
  look: async (box, ref) => {
    const script = `exec 3<>/dev/tcp/127.0.0.1/7005
      printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; timeout 20 tail -n 1 <&3`;
    return JSON.parse(await box.sh(ref, script)) as Facts;
  },
};

const pipelineBytes = 20_000_000;

/** Blocked on full pipes and on a FIFO until it may go on. */
const pipeline: Workload = {
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
const terminal: Workload = {
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
const files: Workload = {
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

export const workloads: readonly Workload[] = [
  threads,
  nodeServer,
  pipeline,
  deletedFile,
  connection,
  lagging,
  terminal,
  appendLog,
  files,
];
