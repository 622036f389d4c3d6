/** An image in containerd's namespace `ramet`, unpacked into the overlayfs snapshotter. */
export interface Image {
  /** Reference, e.g. `docker.io/library/debian:12` or `rl-env-checkpoint-step1000`. */
  readonly name: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly createdAt: Date;
  readonly config: ImageConfig;
}

/** What a sandbox takes from an OCI image's config. */
export interface ImageConfig {
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly cwd: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly architecture: string;
}
