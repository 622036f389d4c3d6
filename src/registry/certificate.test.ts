import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fastify } from "fastify";
import { afterEach, expect, it, vi } from "vitest";
import { base64Of, makeCertificate, shownAt } from "../../test/support/certificate.js";
import { openScope } from "../lib/scope.js";
import { type CertificateFiles, openCertificate } from "./certificate.js";
import { openFront } from "./front.js";

let scope = openScope();
afterEach(async () => {
  await scope[Symbol.asyncDispose]();
  scope = openScope();
});

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "ramet-certificate-"));
  scope.defer(() => rmSync(path, { recursive: true }));
  return path;
}

async function open(files: CertificateFiles) {
  const log = { info: vi.fn(), warn: vi.fn() };
  return { log, live: await openCertificate(files, log) };
}

it("shows those who connect a certificate that was renewed, and keeps the one before while there is no pair", async () => {
  const path = directory();
  const first = makeCertificate(path);
  const files = { certificate: first.path, key: join(path, "key.pem") };
  const { live, log } = await open(files);
  const front = openFront(live.current());
  live.listen(front.renew);
  const app = fastify({ serverFactory: front.serverFactory, forceCloseConnections: true });
  scope.defer(() => app.close());
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const shown = (...protocols: string[]) => shownAt(port, protocols);
  expect((await shown("h2")).certificate).toBe(base64Of(first.cert));

  const second = makeCertificate(directory());
  writeFileSync(files.certificate, second.cert);
  for (let count = 0; count < 3; count++) await live.check();
  expect(log.warn).toHaveBeenCalledTimes(1);
  expect((await shown("h2")).certificate).toBe(base64Of(first.cert));

  writeFileSync(files.key, second.key);
  for (let count = 0; count < 3; count++) await live.check();
  expect(log.info).toHaveBeenCalledTimes(1);
  expect(await shown("h2")).toEqual({ certificate: base64Of(second.cert), protocol: "h2" });
  expect(await shown("http/1.1")).toEqual({ certificate: base64Of(second.cert), protocol: "http/1.1" });
});

it("keeps the one before when its files are gone", async () => {
  const path = directory();
  const { cert, path: certificate } = makeCertificate(path);
  const { live, log } = await open({ certificate, key: join(path, "key.pem") });
  rmSync(certificate);
  await live.check();
  expect(log.warn).toHaveBeenCalledTimes(1);
  expect(live.current().cert).toEqual(cert);
  await expect(open({ certificate, key: join(path, "key.pem") })).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("cannot read tls.certificate"),
  });
});
