/** A certificate for localhost that no authority has signed, as who tries things out makes one. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";

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

export interface Shown {
  /** Base64 of the certificate, as `base64Of` gives it. */
  readonly certificate: string;
  readonly protocol: string | false | null;
}

/** What somebody is shown who connects to the port of this machine now. */
export function shownAt(port: number, ALPNProtocols: string[]): Promise<Shown> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, ALPNProtocols, rejectUnauthorized: false }, () => {
      const certificate = socket.getPeerCertificate().raw.toString("base64");
      resolve({ certificate, protocol: socket.alpnProtocol });
      socket.destroy();
    }).on("error", reject);
  });
}

/** Of a certificate in PEM: what is between its first line and its last. */
export const base64Of = (cert: Buffer) => cert.toString().replaceAll(/-----.*-----|\s/g, "");
