/** containerd, runc and CRIU: there, new enough, and working. */
import { access, constants } from "node:fs/promises";
import { connectContainerd } from "../containerd/client.js";
import { checkCriu, locksNetwork, readCriuVersion, readRuncVersion } from "../criu/features.js";
import { toDomainError } from "../lib/errors.js";
import { failure, type Judgement, ok, warning } from "./finding.js";
import type { Host } from "./host.js";
import { isAtLeast } from "./version.js";

const install = "run scripts/install-runtime";

export async function checkContainerd(host: Host): Promise<Judgement> {
  const { containerd } = host.config;
  const shim = host.program("containerd-shim-runc-v2");
  const hasShim = await access(shim, constants.X_OK).then(
    () => true,
    () => false,
  );
  try {
    const client = await connectContainerd(
      containerd,
      AbortSignal.any([host.signal, AbortSignal.timeout(5_000)]),
    );
    try {
      const { version } = await client.version(host.signal);
      return judgeContainerd({ version, address: containerd.address, shim: hasShim ? undefined : shim });
    } finally {
      client.close();
    }
  } catch (thrown) {
    host.signal.throwIfAborted();
    return failure(toDomainError(thrown, containerd.address).message, `${install}, then scripts/runtime up`);
  }
}

export interface ContainerdFacts {
  readonly version: string;
  readonly address: string;
  /** Where the shim should be and is not. */
  readonly shim: string | undefined;
}

/** First fixed release of each line: CVE-2026-50195 and CVE-2026-53492, in restoring hostile checkpoints. */
const fixed: ReadonlyArray<readonly [line: string, least: string]> = [
  ["2.3", "2.3.2"],
  ["2.2", "2.2.5"],
  ["2.1", "2.1.9"],
];

export function judgeContainerd({ version, address, shim }: ContainerdFacts): Judgement {
  const number = /\d+(?:\.\d+)*/.exec(version)?.[0] ?? version;
  const least = fixed.find(([line]) => number.startsWith(`${line}.`))?.[1] ?? "2.1.9";
  if (!isAtLeast(number, least)) {
    return failure(`${number} at ${address}; ${least} restores checkpoints safely`, install);
  }
  if (shim !== undefined) return warning(`${number} at ${address}, but no ${shim}`, install);
  return ok(`${number} at ${address}`);
}

export async function checkRunc(host: Host): Promise<Judgement> {
  try {
    return judgeRunc(await readRuncVersion(host.program("runc"), host.signal));
  } catch (thrown) {
    host.signal.throwIfAborted();
    return failure(toDomainError(thrown, "runc").message, install);
  }
}

export function judgeRunc(version: string): Judgement {
  return isAtLeast(version, "1.3") ? ok(version) : failure(`${version}; 1.3 is needed`, install);
}

export async function checkCriuProgram(host: Host): Promise<Judgement> {
  const program = host.program("criu");
  try {
    const version = await readCriuVersion(program, host.signal);
    const [check, hasLock] = await Promise.all([
      checkCriu(program, host.signal),
      locksNetwork(program, host.signal),
    ]);
    return judgeCriu({ version, ...check, locksNetwork: hasLock });
  } catch (thrown) {
    host.signal.throwIfAborted();
    return failure(toDomainError(thrown, "CRIU").message, install);
  }
}

export interface CriuFacts {
  readonly version: string;
  /** Of `criu check`. */
  readonly passed: boolean;
  readonly remarks: readonly string[];
  /** Sandboxes with TCP connections inside can be checkpointed. */
  readonly locksNetwork: boolean;
}

export function judgeCriu({ version, passed, remarks, locksNetwork }: CriuFacts): Judgement {
  const said = remarks.slice(-3).join("; ");
  // Earlier ones restore the state of the vDSO's getrandom as it was: the same random numbers in every clone.
  if (!isAtLeast(version, "4.2")) return failure(`${version}; 4.2 is needed`, install);
  if (!passed)
    return failure(
      `${version}, criu check fails: ${said}`,
      "run as root, on a kernel with CONFIG_CHECKPOINT_RESTORE",
    );
  if (!locksNetwork)
    return warning(
      `${version}, without nftables: a sandbox with TCP connections inside cannot be checkpointed`,
      "load the kernel module nf_tables (CONFIG_NF_TABLES), or take a CRIU that is built with nftables",
    );
  return ok(said === "" ? `${version}, criu check passes` : `${version}, criu check passes (${said})`);
}
