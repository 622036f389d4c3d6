import type { Command } from "commander";
import { type Place, parsePlace } from "../arguments.js";
import { type CopyWatcher, copyTree } from "../copy/copy.js";
import { localSink, localSource } from "../copy/local-tree.js";
import { sandboxSink, sandboxSource } from "../copy/sandbox-tree.js";
import { formatBytes, printable } from "../format.js";
import { type Cli, leaf, type Session, usage } from "../session.js";

interface CopyOptions {
  readonly user?: string;
  readonly followLink?: boolean;
}

export function copyCommand(cli: Cli): Command {
  return leaf("cp", "Copy files and directories into, out of, or between sandboxes", [
    "cp model.pt a1b2:/data/",
    "cp a1b2:/data/results ./results",
    "cp a1b2:/etc/os-release -",
    "generate | ramet cp - a1b2:/tmp/data",
  ])
    .argument("<source>", "SANDBOX:PATH, a local path, or - for standard input")
    .argument("<target>", "SANDBOX:PATH, a local path, or - for standard output")
    .option("-u, --user <user>", "as this user inside (default: the sandbox's)")
    .option("-L, --follow-link", "copy what a link at SOURCE points to, not the link")
    .action(
      cli.action(async (session, source: string, target: string, options: CopyOptions) => {
        const [from, to] = [parsePlace(source), parsePlace(target)];
        if (from.kind !== "sandbox" && to.kind !== "sandbox")
          throw usage("one side has to be in a sandbox", "SANDBOX:PATH");
        if (from.kind === "stdio" || to.kind === "stdio") return await copyStream(session, from, to, options);
        await copyPaths(session, from, to, options);
      }),
    );
}

type PathPlace = Exclude<Place, { kind: "stdio" }>;

async function copyPaths(session: Session, from: PathPlace, to: PathPlace, options: CopyOptions) {
  const { out, signal } = session;
  const { user = "", followLink = false } = options;
  const api = await session.api();
  const source =
    from.kind === "local" ? localSource(signal) : sandboxSource(api, { sandbox: from.sandbox, user }, signal);
  const sink = to.kind === "local" ? localSink() : sandboxSink(api, { sandbox: to.sandbox, user }, signal);
  using progress = out.progress({ onlyOnTerminal: true });
  const isDrawn = session.io.stderr.isTTY === true;
  const watcher: CopyWatcher = {
    onBytes: (path, { bytes }) => progress.show({ label: printable(path), done: bytes }),
    onSkipped: (path, why) => out.note(`left out: ${printable(path)}: ${why}`),
  };
  const isSameTree = from.kind === "sandbox" && to.kind === "sandbox" && from.sandbox === to.sandbox;
  const request = { from: from.path, to: to.path, followLink, isSameTree };
  const copied = await copyTree(source, sink, request, watcher);
  progress[Symbol.dispose]();
  await out.document("copied", copied, () => "");
  if (isDrawn && !out.isJson)
    out.note(`${copied.files} ${copied.files === 1 ? "file" : "files"}, ${formatBytes(copied.bytes)}`);
}

async function copyStream(
  session: Session,
  from: Place,
  to: Place,
  { user = "" }: CopyOptions,
): Promise<void> {
  const { io, out, signal } = session;
  const api = await session.api();
  if (from.kind === "stdio" && to.kind === "sandbox") {
    const sink = sandboxSink(api, { sandbox: to.sandbox, user }, signal);
    return await sink.writeFile(to.path, 0o644, io.stdin);
  }
  if (from.kind !== "sandbox") throw usage("one side has to be in a sandbox", "SANDBOX:PATH");
  const source = sandboxSource(api, { sandbox: from.sandbox, user }, signal);
  const entry = await source.entry(from.path, { follow: true });
  for await (const chunk of source.data(entry)) await out.raw("stdout", chunk);
}
