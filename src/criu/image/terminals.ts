/**
 * Terminals: `tty-info.img` (images/tty.proto). The group in the foreground of one may have ended, as between two jobs of a
 * shell, whose dump CRIU takes and cannot restore: nobody can be given a terminal by the number of a group that is gone.
 */

import { readImage } from "./codec.js";
import { readDumpFile, readMessages, replaceMessages } from "./dump-files.js";
import { numberField, parseMessage, requiredNumber, serializeMessage, withFields } from "./message.js";

const terminalsName = "tty-info.img";
const processesName = "pstree.img";
const terminal = { session: 6, group: 7 };
const process = { pid: 1, group: 3 };

/** Gives such terminals to the leaders of their sessions, as shells take them back. */
export async function returnTerminals(images: string): Promise<void> {
  const bytes = await readDumpFile(images, terminalsName);
  if (bytes === undefined) return;
  const terminals = readImage(bytes, "terminals", terminalsName);
  const returned = withLiveGroups(terminals, await readMessages(images, processesName, "pstree"));
  if (returned !== undefined) replaceMessages(images, terminalsName, "terminals", returned);
}

/** Undefined: all are as they have to be. Pure. */
export function withLiveGroups(
  terminals: readonly Buffer[],
  processes: readonly Buffer[],
): readonly Buffer[] | undefined {
  const groups = new Map(processes.map(groupOf));
  const live = new Set(groups.values());
  let isChanged = false;
  const returned = terminals.map((bytes) => {
    const message = parseMessage(bytes, terminalsName);
    const leaders = groups.get(requiredNumber(message, terminal.session, terminalsName));
    // Without its leader no session has a terminal.
    if (leaders === undefined || live.has(requiredNumber(message, terminal.group, terminalsName)))
      return bytes;
    isChanged = true;
    return serializeMessage(withFields(message, numberField(terminal.group, leaders)));
  });
  return isChanged ? returned : undefined;
}

function groupOf(bytes: Buffer): [pid: number, group: number] {
  const message = parseMessage(bytes, processesName);
  return [
    requiredNumber(message, process.pid, processesName),
    requiredNumber(message, process.group, processesName),
  ];
}
