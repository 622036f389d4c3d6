/** The agent as one node of many: who it is, whom it lets in, and that it reports. */
import type { TlsOptions } from "node:tls";
import { tlsOptions } from "../authority/credentials.js";
import { identityOf, registryUri } from "../authority/identity.js";
import type { MembershipConfig } from "../config/schema.js";
import { formatAddress } from "../lib/address.js";
import { DomainError } from "../lib/errors.js";
import type { Logger } from "../lib/log.js";
import { membershipDirectory, type NodeIdentity, readIdentity } from "./identity-files.js";
import { joinRegistry } from "./join.js";
import { keepReporting } from "./keep-reporting.js";
import type { ReportDeps } from "./reports.js";

export interface MembershipOptions {
  readonly config: MembershipConfig;
  readonly dataDir: string;
  readonly log: Logger;
  /** Reads the token when there is no identity yet. */
  readonly readToken: () => Promise<string>;
}

export interface Membership {
  readonly node: string;
  /** For what serves the registry. */
  readonly tls: TlsOptions;
  /** The error for a caller with this certificate (DER), if it is not the registry. */
  refuse(peerCertificate: Buffer | undefined): DomainError | undefined;
  /** Reports until disposed of. */
  report(deps: Omit<ReportDeps, "dataDir" | "log"> & { readonly version: string }): AsyncDisposable;
}

/** The identity that a join has given before, or a join with the token. */
export async function openMembership(options: MembershipOptions, signal: AbortSignal): Promise<Membership> {
  const { config, dataDir, log } = options;
  const identity = (await readIdentity(membershipDirectory(dataDir))) ?? (await join(options, signal));
  return {
    node: identity.node,
    tls: tlsOptions(identity.tls),
    refuse: refuseStrangers(),
    report({ node, version }) {
      const { registry, address } = config;
      const stopping = new AbortController();
      const reporting = keepReporting(
        { identity, registry, address, node, version, dataDir, log },
        stopping.signal,
      ).catch((err: unknown) => log.error({ err }, "reporting to the registry has ended"));
      return {
        async [Symbol.asyncDispose]() {
          stopping.abort();
          await reporting;
        },
      };
    },
  };
}

async function join(
  { config, dataDir, log, readToken }: MembershipOptions,
  signal: AbortSignal,
): Promise<NodeIdentity> {
  const { registry, name, address } = config;
  const token = await readToken();
  const directory = membershipDirectory(dataDir);
  const identity = await joinRegistry({ registry, token, name, address, directory }, signal);
  log.info({ node: identity.node, name, registry: formatAddress(registry) }, "joined the registry");
  return identity;
}

function refuseStrangers(): Membership["refuse"] {
  // Every call shows it, and to read it takes longer than many a call.
  let registrys: Buffer | undefined;
  return (certificate) => {
    if (certificate === undefined)
      return new DomainError(
        "unauthenticated",
        "this port is for the registry, which shows its certificate",
        { hint: "on the machine itself, use the agent's socket" },
      );
    if (registrys?.equals(certificate)) return undefined;
    if (identityOf(certificate)?.uri !== registryUri)
      return new DomainError("permission_denied", "this port is for the registry alone");
    registrys = certificate;
    return undefined;
  };
}
