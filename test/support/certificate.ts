/** A certificate for localhost that no authority has signed, as who tries things out makes one. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface MadeCertificate {
  readonly key: Buffer;
  readonly cert: Buffer;
  /** Of the certificate, for clients that are to trust it. */
  readonly path: string;
}

export function makeCertificate(directory: string): MadeCertificate {
  const [key, path] = [join(directory, "key.pem"), join(directory, "certificate.pem")];
  const made = ["-keyout", key, "-out", path, "-days", "2", "-subj", "/CN=localhost"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-addext", "subjectAltName=DNS:localhost"];
  execFileSync("openssl", ["req", "-x509", ...curve, ...names, ...made], { stdio: "ignore" });
  return { key: readFileSync(key), cert: readFileSync(path), path };
}
