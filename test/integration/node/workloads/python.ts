import { ask, untilAnswers, type Workload } from "./workload.js";

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

export const threads = python(
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
export const appendLog = python(
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

export const deletedFile = python(
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
export const connection = python(
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
export const lagging = python(
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
