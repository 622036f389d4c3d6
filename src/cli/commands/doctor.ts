import type { Command } from "commander";
import { loadAgentConfig } from "../../config/load.js";
import { type Cli, leaf, usage } from "../session.js";

interface DoctorOptions {
  readonly config?: string;
}

/** Sandboxes will not work here. */
const unfit = 1;

export function doctorCommand(cli: Cli): Command {
  return leaf("doctor", "Tell what this machine can do, and what to do about the rest", ["doctor"])
    .option("--config <path>", "the agent's configuration (default: /etc/ramet/agent.toml, if it exists)")
    .action(
      cli.action(async (session, { config: path }: DoctorOptions) => {
        const { io, out, signal, socketPath, registryUrl } = session;
        if (registryUrl !== undefined)
          throw usage("doctor looks at this machine alone", "run it on the node, without --registry");
        const flags = { "--config": path, "--socket": socketPath };
        const argv = Object.entries(flags).flatMap(([flag, text]) =>
          text === undefined ? [] : [flag, text],
        );
        const config = loadAgentConfig({ argv, env: io.env });
        // Only this command needs what talks to containerd; the others start faster without it.
        const { runDoctor } = await import("../../doctor/doctor.js");
        const { isFit, renderFindings } = await import("../../doctor/finding.js");
        const findings = await runDoctor(config, signal);
        await out.document("finding", findings, renderFindings);
        return isFit(findings) ? 0 : unfit;
      }),
    );
}
