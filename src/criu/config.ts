/**
 * CRIU's configuration file, which runc passes on per container through the annotation `org.criu.config`, at dump
 * and at restore. Options as in criu(8), each tried with CRIU 4.2.1 under runc 1.3.6.
 */
export interface CriuConfigOptions {
  /**
   * How the network stands still from a dump on, and from a restore until its end: a dump writes down its way, and
   * restores of it go the same. `nftables` drops every packet, and costs some 20 ms each way; `skip` does nothing.
   * Default `skip`.
   */
  readonly networkLock?: "skip" | "nftables";
  /** Absolute paths in the sandbox below which the files of inotify watches are likely. Default none. */
  readonly scanFirst?: readonly string[];
  /** Largest deleted file that is still open and kept in a checkpoint. Default 512 MiB. */
  readonly ghostBytesMax?: number;
}

const mebibyte = 1024 * 1024;

/** The file's text. */
export function criuConfig({
  networkLock = "skip",
  scanFirst = [],
  ghostBytesMax = 512 * mebibyte,
}: CriuConfigOptions = {}): string {
  return `${options({ networkLock, scanFirst, ghostBytesMax })
    .map(([option, why]) => `# ${why}\n${option}\n`)
    .join("\n")}`;
}

// `link-remap` is left out on purpose: CRIU takes the names it makes away again when the source runs on, so that the
// checkpoint has none of them, and no restore of it ever works. Without it the dump says what is in the way.
function options({
  networkLock,
  scanFirst,
  ghostBytesMax,
}: Required<CriuConfigOptions>): ReadonlyArray<readonly [option: string, why: string]> {
  return [
    ["tcp-established", "Connections have both ends in the sandbox: they go on in every clone."],
    ["skip-in-flight", "Connections that nobody has accepted yet are dropped; their clients connect again."],
    [
      `network-lock ${networkLock}`,
      "An end of a connection that comes back before the other must not send: it would be reset.",
    ],
    [
      "empty-ns net",
      "Nobody inside can change the network namespace: there is a new one, and a hook brings its loopback up.",
    ],
    // The value of an option whose value is optional has to follow an equals sign, here as on a command line.
    [
      "manage-cgroups=ignore",
      "runc makes the control groups, from the runtime spec; nothing about them is kept.",
    ],
    ...scanPaths(scanFirst).map((path) => [`irmap-scan-path ${path}`, scanWhy] as const),
    ["file-locks", "Locks are held among the sandbox's own processes only."],
    [
      `ghost-limit ${ghostBytesMax}`,
      "Deleted files that are open go into the checkpoint; CRIU allows 1 MiB.",
    ],
  ];
}

/**
 * The kernel tells a watch's inode and not its path, and overlayfs opens no file by its handle, so CRIU looks
 * through directories until it meets the inode; where nothing is watched it looks at none.
 */
const scanWhy = "Here the files of inotify watches are looked for.";

/** `/.` is everything, /proc included: it comes last. What would need quoting is left to it. */
function scanPaths(first: readonly string[]): string[] {
  const usual = ["/home", "/root", "/srv", "/opt", "/app", "/workspace", "/tmp", "/var", "/usr/local"];
  const plain = first.filter((path) => path !== "/" && /^\/[\w./@+-]+$/.test(path));
  return [...new Set([...plain, ...usual, "/."])];
}
