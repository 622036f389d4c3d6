/** A runtime prefix whose dumps take some seconds while a file says so: a long dump, without the memory for it. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testRuntime } from "./containerd.js";

export interface SlowPrefix {
  readonly prefix: string;
  readonly runc: string;
  /** Takes hold with the next dump. */
  readonly slow: () => void;
}

export function makeSlowPrefix(prefix: string): SlowPrefix {
  const bin = join(testRuntime().prefix, "bin");
  const [runc, flag] = [join(prefix, "bin/runc"), join(prefix, "slow")];
  mkdirSync(join(prefix, "bin"), { recursive: true });
  symlinkSync(join(bin, "criu"), join(prefix, "bin/criu"));
  const script = `#!/bin/sh
case " $* " in *" checkpoint "*) [ ! -e ${flag} ] || { rm ${flag}; sleep 5; } ;; esac
exec ${bin}/runc "$@"
`;
  writeFileSync(runc, script);
  chmodSync(runc, 0o755);
  return { prefix, runc, slow: () => writeFileSync(flag, "") };
}
