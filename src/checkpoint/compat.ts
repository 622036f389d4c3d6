/** May this host restore that checkpoint? Pure: the manifest against facts about the host. */
import { DomainError } from "../lib/errors.js";
import type { Manifest } from "./manifest.js";

/** What a dump records about its host, and a restore is measured against. */
export interface HostFacts {
  /** As `uname -m` says. */
  readonly architecture: string;
  /** As `uname -r` says. */
  readonly kernel: string;
  /** All of /proc/cpuinfo's, see parseCpuInfo. */
  readonly cpuFeatures: readonly string[];
  readonly criuVersion: string;
  readonly runcVersion: string;
  /** Versions of the guest that are installed here. */
  readonly guestVersions: readonly string[];
  readonly ids: { readonly base: number; readonly size: number };
}

export interface Compatibility {
  /** One sentence for each reason why it cannot be restored here. */
  readonly problems: readonly string[];
  /** What is different and usually does no harm. */
  readonly warnings: readonly string[];
}

export function compareHost({ host: made, spec }: Manifest, host: HostFacts): Compatibility {
  const problems: string[] = [];
  const has = new Set(host.cpuFeatures);
  if (made.architecture !== host.architecture) {
    problems.push(`it was made on ${made.architecture}, this machine is ${host.architecture}`);
  } else {
    const missing = made.cpuFeatures.filter((feature) => !has.has(feature));
    if (missing.length > 0)
      problems.push(`it may use CPU features that this machine lacks: ${listed(missing)}`);
  }
  if (!host.guestVersions.includes(spec.guestVersion)) {
    problems.push(`it needs version ${spec.guestVersion} of the guest, which is not installed here`);
  }
  if (compareVersions(host.criuVersion, made.criuVersion) < 0) {
    problems.push(
      `it was made with CRIU ${made.criuVersion}, this machine has the older ${host.criuVersion}`,
    );
  }
  if (made.ids.base !== host.ids.base || made.ids.size !== host.ids.size) {
    problems.push(
      `its user ids are mapped to ${rangeOf(made.ids)}, this agent maps sandboxes to ${rangeOf(host.ids)}`,
    );
  }
  const warnings =
    made.kernel === host.kernel ? [] : [`it was made on kernel ${made.kernel}, this one is ${host.kernel}`];
  return { problems, warnings };
}

/** Throws `failed_precondition` with every reason when it cannot be restored here. Gives the warnings. */
export function requireCompatible(what: string, manifest: Manifest, host: HostFacts): readonly string[] {
  const { problems, warnings } = compareHost(manifest, host);
  if (problems.length === 0) return warnings;
  throw new DomainError("failed_precondition", `cannot restore ${what}: ${problems.join("; ")}`, {
    hint: "restore it on a machine like the one it was made on",
  });
}

/** Below zero when `a` is older. Compares the numbers of `4.2.1` one by one; what is missing counts as 0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

// A distribution's suffix (1.3.6+ds1, 4.2-1) does not count.
function numbersOf(version: string): number[] {
  return (/\d+(\.\d+)*/.exec(version)?.[0] ?? "").split(".").map(Number);
}

const namedMax = 8;

function listed(names: readonly string[]): string {
  const rest = names.length - namedMax;
  return names.slice(0, namedMax).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

function rangeOf({ base, size }: { readonly base: number; readonly size: number }): string {
  return `${base}-${base + size - 1}`;
}
