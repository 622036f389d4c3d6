/** What listens in the sandboxes, and on the host behind the peer: a small server that costs next to nothing. */
import { readyFile, type Workload } from "../workload.js";

export const insidePort = 8000;

/** Its connections stay open, and several requests in one piece are answered. */
export const serverProgram = (port: number): string =>
  [
    "import selectors, socket",
    `listener = socket.create_server(("127.0.0.1", ${port}), backlog=512)`,
    "listener.setblocking(False)",
    "ready = selectors.DefaultSelector()",
    "ready.register(listener, selectors.EVENT_READ)",
    'answer = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 2\\r\\n\\r\\nok"',
    `open("${readyFile}", "w").close()`,
    "while True:",
    "    for key, _ in ready.select():",
    "        if key.fileobj is listener:",
    "            peer, _ = listener.accept()",
    "            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)",
    '            ready.register(peer, selectors.EVENT_READ, [b""])',
    "            continue",
    "        peer = key.fileobj",
    "        try: came = peer.recv(65536)",
    '        except OSError: came = b""',
    "        if not came:",
    "            ready.unregister(peer)",
    "            peer.close()",
    "            continue",
    '        heads = (key.data[0] + came).split(b"\\r\\n\\r\\n")',
    "        key.data[0] = heads[-1]",
    "        try: peer.sendall(answer * (len(heads) - 1))",
    "        except OSError: pass",
  ].join("\n");

export const serverWorkload: Workload = {
  ...{ key: "server", name: "a small server", memoryBytes: 0 },
  program: serverProgram(insidePort),
};
