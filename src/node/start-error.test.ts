import { expect, it } from "vitest";
import { DomainError } from "../lib/errors.js";
import { startError } from "./start-error.js";

const runc = (text: string) =>
  new DomainError(
    "internal",
    `cannot create task a1: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: ${text}`,
  );

it.each([
  [
    'error mounting "proc" to rootfs at "/proc": filesystem "proc" must be mounted on ordinary directory',
    "/proc",
  ],
  [
    'error mounting "tmpfs" to rootfs at "/dev": mount src=tmpfs, dst=/dev, dstFd=/proc/thread-self/fd/14, flags=MS_NOSUID, data=mode=0755: not a directory',
    "/dev",
  ],
  [
    'error mounting "/data/sandboxes/a1/guest" to rootfs at "/.ramet": mount src=/data/sandboxes/a1/guest, dst=/.ramet, flags=MS_BIND: not a directory',
    "/.ramet",
  ],
])("blames the image: %s", (text, place) => {
  expect(startError("app", runc(text))).toMatchObject({
    code: "failed_precondition",
    message: `cannot start from image app: its ${place} is no directory`,
    hint: expect.stringContaining("/proc"),
  });
});

it.each([
  'error mounting "proc" to rootfs at "/proc": mount src=proc, dst=/proc: operation not permitted',
  "unable to apply cgroup configuration: no space left on device",
])("leaves what is not the image's fault: %s", (text) => {
  expect(startError("app", runc(text))).toMatchObject({ code: "internal", message: runc(text).message });
});
