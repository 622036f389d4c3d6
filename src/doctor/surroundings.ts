/** Privileges, tools, and whether an agent runs already. */
import { connect } from "node:net";
import { findProgram } from "./find-program.js";
import { failure, type Judgement, ok, warning } from "./finding.js";
import { type Host, toolPath } from "./host.js";

/** What runs each tool: containerd's shim, runc's hooks, CRIU for namespaces and tmpfs mounts, the agent itself. */
const toolsNeeded: Readonly<Record<string, string>> = {
  ip: "iproute2",
  tar: "tar",
  cp: "coreutils",
  mount: "mount",
  nsenter: "util-linux",
  unshare: "util-linux",
};

export async function checkTools(): Promise<Judgement> {
  const missing: string[] = [];
  for (const tool of Object.keys(toolsNeeded)) {
    if ((await findProgram(tool, toolPath)) === undefined) missing.push(tool);
  }
  return judgeTools(missing);
}

export function judgeTools(missing: readonly string[]): Judgement {
  if (missing.length === 0) return ok(Object.keys(toolsNeeded).join(", "));
  const packages = new Set(missing.map((tool) => toolsNeeded[tool] ?? tool));
  return failure(`missing: ${missing.join(", ")}`, `apt-get install ${[...packages].join(" ")}`);
}

export async function checkPrivileges(host: Host): Promise<Judgement> {
  const status = (await host.read("/proc/self/status")) ?? "";
  return judgePrivileges(BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`));
}

/** Bits as in linux/capability.h. */
const needed: Readonly<Record<string, bigint>> = {
  CAP_CHOWN: 0n,
  CAP_DAC_OVERRIDE: 1n,
  CAP_KILL: 5n,
  CAP_SETGID: 6n,
  CAP_SETUID: 7n,
  CAP_NET_ADMIN: 12n,
  CAP_SYS_CHROOT: 18n,
  CAP_SYS_PTRACE: 19n,
  CAP_SYS_ADMIN: 21n,
};
const sysResource = 24n;

export function judgePrivileges(effective: bigint): Judgement {
  const has = (bit: bigint) => (effective & (1n << bit)) !== 0n;
  const missing = Object.entries(needed)
    .filter(([, bit]) => !has(bit))
    .map(([name]) => name);
  if (missing.length > 0) return failure(`missing: ${missing.join(", ")}`, "run as root");
  if (has(sysResource)) return ok("all that are needed");
  return warning(
    "no CAP_SYS_RESOURCE: limits of open files cannot be raised",
    "give the agent CAP_SYS_RESOURCE where sandboxes need more open files than its own hard limit",
  );
}

export async function checkAgent(host: Host): Promise<Judgement> {
  return judgeAgent(host.config.socket, await connectError(host.config.socket));
}

/** Whether it runs matters to nobody who asks before starting it; a socket that nobody answers does. */
export function judgeAgent(socket: string, error: string | undefined): Judgement {
  if (error === undefined) return ok(`answers at ${socket}`);
  if (error === "ENOENT") return ok(`not running (nothing at ${socket})`);
  return warning(`${socket}: ${error}`, "start the agent with rametd agent, as root; see its log");
}

function connectError(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const settle = (error: string | undefined) => {
      socket.destroy();
      resolve(error);
    };
    socket.setTimeout(2_000, () => settle("no answer in 2 s"));
    socket.once("connect", () => settle(undefined));
    socket.once("error", (error) => settle("code" in error ? String(error.code) : error.message));
  });
}
