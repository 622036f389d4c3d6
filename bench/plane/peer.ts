/** Debian's nginx on loopback: files both ways, an empty answer, and the same small server behind it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { openScope } from "../../src/lib/scope.js";
import { waitUntil } from "../../src/lib/signal.js";
import { freeAddress } from "../../test/support/registry-process.js";
import { serverProgram } from "./inside.js";

export interface Peer extends AsyncDisposable {
  /** Files are below `/files/`, and written there by PUT. */
  readonly url: string;
}

export async function startPeer(root: string): Promise<Peer> {
  await using scope = openScope();
  const directory = join(root, "plane-peer");
  const files = join(directory, "files");
  await mkdir(files, { recursive: true });
  scope.defer(() => rm(directory, { recursive: true, force: true }));
  const [own, behind] = [await freeAddress(), await freeAddress()];
  const configuration = join(directory, "nginx.conf");
  await writeFile(configuration, configurationOf(directory, own.port, behind.port));
  const programs = [
    ["python3", "-c", serverProgram(behind.port)],
    ["nginx", "-p", directory, "-c", configuration, "-e", join(directory, "error.log")],
  ] as const;
  for (const [command, ...words] of programs) {
    const child = spawn(command, words, { stdio: ["ignore", "ignore", "inherit"] });
    const closed = once(child, "close");
    scope.defer(async () => {
      child.kill("SIGTERM");
      await closed;
    });
  }
  for (const { host, port } of [own, behind])
    await waitUntil(`port ${port} of the peer`, () => answers(host, port), {
      ...{ intervalMs: 20, timeoutMs: 10_000 },
    });
  const owned = scope.move();
  return {
    url: `http://127.0.0.1:${own.port}`,
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

const answers = (host: string, port: number) =>
  new Promise<true | undefined>((resolve) => {
    const socket = connect({ host, port });
    const settle = (is: true | undefined) => {
      socket.destroy();
      resolve(is);
    };
    socket.once("connect", () => settle(true)).once("error", () => settle(undefined));
  });

const configurationOf = (directory: string, port: number, behind: number) => `
daemon off;
user root;
worker_processes auto;
pid ${directory}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_max_body_size 0;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  upstream behind { server 127.0.0.1:${behind}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    location /health { return 204; }
    location /inside { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; }
    location /files/ { root ${directory}; dav_methods PUT; }
  }
}
`;
