/** CRIU's configuration file, which runc passes on through the annotation `org.criu.config`. */
export function criuConfig(): string {
  return [
    "tcp-established",
    "network-lock skip",
    "skip-in-flight",
    "link-remap",
    "file-locks",
    "ghost-limit 1073741824",
    "",
  ].join("\n");
}
