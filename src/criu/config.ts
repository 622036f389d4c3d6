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
  /** Largest deleted file that is still open and kept in a checkpoint. Default 512 MiB. */
  readonly ghostBytesMax?: number;
}

const mebibyte = 1024 * 1024;

/** The file's text. */
export function criuConfig({
  networkLock = "skip",
  ghostBytesMax = 512 * mebibyte,
}: CriuConfigOptions = {}): string {
  return `${options({ networkLock, ghostBytesMax })
    .map(([option, why]) => `# ${why}\n${option}\n`)
    .join("\n")}`;
}

// `link-remap` is left out on purpose: CRIU takes the names it makes away again when the source runs on, so that the
// checkpoint has none of them, and no restore of it ever works. Without it the dump says what is in the way.
function options({
  networkLock,
  ghostBytesMax,
}: Required<CriuConfigOptions>): ReadonlyArray<readonly [option: string, why: string]> {
  return [
    ["tcp-established", "Connections have both ends in the sandbox: they go on in every clone."],
    ["skip-in-flight", "Connections that nobody has accepted yet are dropped; their clients connect again."],
    [
      `network-lock ${networkLock}`,
      "An end of a connection that comes back before the other must not send: it would be reset.",
    ],
    // The value of an option whose value is optional has to follow an equals sign, here as on a command line.
    [
      "manage-cgroups=ignore",
      "runc makes the control groups, from the runtime spec; nothing about them is kept.",
    ],
    ["file-locks", "Locks are held among the sandbox's own processes only."],
    [
      `ghost-limit ${ghostBytesMax}`,
      "Deleted files that are open go into the checkpoint; CRIU allows 1 MiB.",
    ],
  ];
}
