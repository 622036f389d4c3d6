/** The certificate of the addresses for clients, from its files. One that is renewed there is taken without a restart. */
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { RegistryConfig } from "../config/registry-schema.js";
import { DomainError } from "../lib/errors.js";
import type { Logger } from "../lib/log.js";

export type CertificateFiles = NonNullable<RegistryConfig["tls"]>;

/** In PEM. */
export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface LiveCertificate {
  current(): Certificate;
  /** Called with each that is new, for connections that are opened from then on. */
  listen(listener: (certificate: Certificate) => void): void;
  /** Looks at the files. What is no pair, as while they are written, is left until it is one. */
  check(): Promise<void>;
}

/** How often the files should be looked at. */
export const certificateCheckMs = 10_000;

/** Throws `invalid_argument` where the files cannot be read; whether they are a pair, the servers say. */
export async function openCertificate(
  files: CertificateFiles,
  log: Pick<Logger, "info" | "warn">,
): Promise<LiveCertificate> {
  const listeners: ((certificate: Certificate) => void)[] = [];
  let current = await read(files);
  let refused = current;

  async function check(): Promise<void> {
    const found = await read(files);
    if (isSame(found, current) || isSame(found, refused)) return;
    refused = found;
    createSecureContext(found);
    current = found;
    for (const listener of listeners) listener(found);
    log.info({ certificate: files.certificate }, "the certificate was renewed");
  }

  return {
    current: () => current,
    listen: (listener) => void listeners.push(listener),
    check: () =>
      check().catch((err: unknown) =>
        log.warn({ err }, "the certificate's files have changed and cannot be used: the one before stays"),
      ),
  };
}

async function read(files: CertificateFiles): Promise<Certificate> {
  try {
    const [cert, key] = await Promise.all([readFile(files.certificate), readFile(files.key)]);
    return { cert, key };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DomainError("invalid_argument", `cannot read tls.certificate or tls.key: ${why}`, { cause });
  }
}

const isSame = (one: Certificate, other: Certificate) =>
  one.cert.equals(other.cert) && one.key.equals(other.key);
