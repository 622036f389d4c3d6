/**
 * Tells what this machine can do: each check looks (and tries, where that can be undone at once), then a pure
 * function judges. Needs no agent, changes nothing and leaves nothing behind.
 */
import { toDomainError } from "../lib/errors.js";
import { checkDataDirectory, checkRunDirectory } from "./directories.js";
import { type Finding, failure, type Judgement } from "./finding.js";
import { type DoctorConfig, type Host, openHost } from "./host.js";
import {
  checkCgroups,
  checkConnectionTracking,
  checkHostLimits,
  checkIdmappedMounts,
  checkKernel,
  checkUserNamespaces,
} from "./kernel.js";
import { checkSharedMemory } from "./memory.js";
import { checkOverlayfs } from "./overlayfs.js";
import { checkContainerd, checkCriuProgram, checkRunc } from "./runtime.js";
import { checkAgent, checkPrivileges, checkTools } from "./surroundings.js";

type Check = (host: Host) => Promise<Judgement>;

const checks: ReadonlyArray<readonly [name: string, check: Check]> = [
  ["privileges", checkPrivileges],
  ["kernel", checkKernel],
  ["cgroups", checkCgroups],
  ["user namespaces", checkUserNamespaces],
  ["kernel limits", checkHostLimits],
  ["connection tracking", checkConnectionTracking],
  ["idmapped mounts", checkIdmappedMounts],
  ["overlayfs", checkOverlayfs],
  ["data directory", checkDataDirectory],
  ["/run", checkRunDirectory],
  ["tools", checkTools],
  ["containerd", checkContainerd],
  ["runc", checkRunc],
  ["criu", checkCriuProgram],
  ["shared memory", checkSharedMemory],
  ["agent", checkAgent],
];

/**
 * Runs every check, in the order of the result. A check that itself fails is a failure with its reason. Aborting
 * rejects once every check has cleaned up.
 */
export async function runDoctor(config: DoctorConfig, signal: AbortSignal): Promise<Finding[]> {
  const host = openHost(config, signal);
  const findings = await Promise.all(
    checks.map(async ([name, check]) => {
      const judgement = await check(host).catch((thrown: unknown) => {
        const { message } = toDomainError(thrown, "this could not be checked");
        return failure(message, "run as root, on Linux");
      });
      return { name, ...judgement };
    }),
  );
  signal.throwIfAborted();
  return findings;
}
