/** What the agent has memoryd do after each restore (docs/memoryd.md), for the restores of others. */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { text } from "node:stream/consumers";

export async function takeListeners(socket: string, cgroup: string): Promise<void> {
  const procs = [`/sys/fs/cgroup/freezer${cgroup}`, `/sys/fs/cgroup${cgroup}`]
    .map((directory) => `${directory}/cgroup.procs`)
    .find((path) => existsSync(path));
  if (procs === undefined) throw new Error(`no control group ${cgroup}`);
  const connection = connect(socket);
  connection.end(`adopt ${procs}\n`);
  const answer = await text(connection);
  if (!/^adopted \d+\n$/.test(answer)) throw new Error(`memoryd: ${answer}`);
}
