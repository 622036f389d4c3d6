import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { base64Of, makeCertificate, shownAt } from "../../test/support/certificate.js";
import { openScope } from "../lib/scope.js";
import { openCertificate } from "../registry/certificate.js";
import { credentialsOf } from "./credentials.js";

it("shows clients the certificate, and the next one once it was renewed", async () => {
  await using scope = openScope();
  const directories = [0, 1].map(() => mkdtempSync(join(tmpdir(), "ramet-credentials-")));
  scope.defer(() => {
    for (const path of directories) rmSync(path, { recursive: true });
  });
  const [first, second] = directories.map(makeCertificate);
  if (first === undefined || second === undefined) throw new Error("no certificates");
  const files = { certificate: first.path, key: join(directories[0] ?? "", "key.pem") };
  const live = await openCertificate(files, { info: () => {}, warn: () => {} });
  const server = new Server();
  scope.defer(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentialsOf(live), (err, bound) =>
      err ? reject(err) : resolve(bound),
    );
  });
  expect((await shownAt(port, ["h2"])).certificate).toBe(base64Of(first.cert));
  writeFileSync(files.certificate, second.cert);
  writeFileSync(files.key, second.key);
  await live.check();
  expect((await shownAt(port, ["h2"])).certificate).toBe(base64Of(second.cert));
});
