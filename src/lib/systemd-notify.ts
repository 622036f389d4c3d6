/** Tells systemd that a service is ready (sd_notify(3)); Node has no datagram unix sockets, so its tool does it. */
import { execa } from "execa";

/** Does nothing when systemd did not start this process. */
export async function notifyReady(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  if (env["NOTIFY_SOCKET"] === undefined) return;
  await execa("systemd-notify", ["--ready", `--pid=${process.pid}`], { reject: false, timeout: 10_000 });
}
