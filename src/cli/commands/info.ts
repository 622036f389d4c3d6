import type { Command } from "commander";
import { isDomainError } from "../../lib/errors.js";
import { formatBytes } from "../format.js";
import { type Cli, leaf } from "../session.js";
import { clientVersion } from "../version.js";
import { infoView } from "../views.js";

export function infoCommand(cli: Cli): Command {
  return leaf("info", "Show the agent's versions and counts", ["info"]).action(
    cli.action(async ({ api, out, signal }) => {
      const info = infoView(await (await api()).node.info({}, { signal }));
      await out.document("info", info, (it) =>
        [
          `agent       ${it.version} (pid ${it.agentPid})`,
          `containerd  ${it.containerdVersion}`,
          `runc        ${it.runcVersion}`,
          `criu        ${it.criuVersion}`,
          `kernel      ${it.kernel}`,
          `cgroups     ${it.cgroups}`,
          `sandboxes   ${it.sandboxesRunning} running, ${it.sandboxesPaused} paused`,
          `disk free   ${formatBytes(it.diskFreeBytes)}`,
        ].join("\n"),
      );
    }),
  );
}

export function versionCommand(cli: Cli): Command {
  return leaf("version", "Show the versions of this program and of the agent", ["version"]).action(
    cli.action(async ({ api, out, signal }) => {
      const agent = await agentVersion(async () => (await (await api()).node.info({}, { signal })).version);
      const json = { client: clientVersion(), ...(agent === undefined ? {} : { agent }) };
      await out.document(
        "version",
        json,
        (it) => `ramet ${it.client}\nagent ${it.agent ?? "(not reachable)"}`,
      );
    }),
  );
}

async function agentVersion(ask: () => Promise<string>): Promise<string | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isDomainError(error, "unavailable") || isDomainError(error, "failed_precondition")) return undefined;
    throw error;
  }
}
