/** A registry on loopback that serves one image, by the OCI distribution spec's pull half. */
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { digestOf, type OciLayout } from "./oci-archive.js";

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly requests: readonly string[];
}

export interface RegistryOptions {
  readonly image: OciLayout;
  readonly tag: string;
  /** `user:password`, asked for with Basic authentication. */
  readonly login?: string;
  /** Blob that is announced, and missing. */
  readonly missing?: string;
}

export async function serveRegistry({ image, tag, login, missing }: RegistryOptions): Promise<TestRegistry> {
  const requests: string[] = [];
  const byDigest = new Map([...image.files.values()].map((bytes) => [digestOf(bytes), bytes]));
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    requests.push(`${request.method} ${path}`);
    if (
      login !== undefined &&
      request.headers.authorization !== `Basic ${Buffer.from(login).toString("base64")}`
    ) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="test"' }).end();
      return;
    }
    const [, kind, reference = ""] = /^\/v2\/.+\/(manifests|blobs)\/([^/?]+)/.exec(path) ?? [];
    const digest = kind === "manifests" && reference === tag ? image.manifestDigest : reference;
    send(response, {
      bytes: digest === missing ? undefined : byDigest.get(digest),
      digest,
      kind,
      method: request.method,
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { host: `127.0.0.1:${port}`, requests, [Symbol.asyncDispose]: () => close(server) };
}

interface Answer {
  readonly bytes: Buffer | undefined;
  readonly digest: string;
  readonly kind: string | undefined;
  readonly method: string | undefined;
}

function send(response: ServerResponse, { bytes, digest, kind, method }: Answer): void {
  if (bytes === undefined) {
    response.writeHead(404, { "content-type": "application/json" }).end('{"errors":[]}');
    return;
  }
  const manifest = "application/vnd.oci.image.manifest.v1+json";
  response.writeHead(200, {
    "content-type": kind === "manifests" ? manifest : "application/octet-stream",
    "content-length": bytes.byteLength,
    "docker-content-digest": digest,
  });
  response.end(method === "HEAD" ? undefined : bytes);
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}
