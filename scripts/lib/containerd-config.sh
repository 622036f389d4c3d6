# The configuration of a private containerd.
# shellcheck shell=bash
# shellcheck disable=SC2154 # the caller sets run and root

# containerd_config: prints config.toml for the instance in $run and $root. No listener but the unix socket.
containerd_config() {
  cat <<TOML
version = 3
root = '$root/containerd'
state = '$run/containerd'
temp = '$root/containerd/tmp'
disabled_plugins = [
  'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime', 'io.containerd.grpc.v1.cri',
  'io.containerd.podsandbox.controller.v1.podsandbox', 'io.containerd.grpc.v1.sandbox-controllers',
  'io.containerd.nri.v1.nri', 'io.containerd.internal.v1.opt', 'io.containerd.monitor.container.v1.restart',
  'io.containerd.internal.v1.tracing', 'io.containerd.tracing.processor.v1.otlp',
  'io.containerd.monitor.task.v1.cgroups', 'io.containerd.differ.v1.erofs',
  'io.containerd.snapshotter.v1.blockfile', 'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper', 'io.containerd.snapshotter.v1.erofs',
  'io.containerd.snapshotter.v1.zfs',
]

[grpc]
  address = '$(socket)'

[debug]
  level = 'warn'

[plugins.'io.containerd.image-verifier.v1.bindir']
  bin_dir = '$root/image-verifiers'
TOML
}
