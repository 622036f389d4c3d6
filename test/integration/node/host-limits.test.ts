/** Limits that the kernel counts for all sandboxes together. */
import { readFile, writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { openBox } from "../../support/box.js";

const box = openBox("host-limits");

const kernelDefaults = { "fs/pipe-user-pages-soft": 16_384, "fs/inotify/max_user_instances": 128 };

/** More than the half of what the kernel lets one user have. */
const hungry = `
import ctypes, os, time
libc = ctypes.CDLL(None)
pipes = [os.pipe() for _ in range(550)]
watchers = [libc.inotify_init1(0) for _ in range(70)]
assert min(watchers) >= 0
for _, end in pipes: os.write(end, b'x')
open('/srv/ready', 'w').close()
while True: time.sleep(1)
`;

it("are raised at the start, and forks have all that their source had", async () => {
  for (const [path, value] of Object.entries(kernelDefaults))
    await writeFile(`/proc/sys/${path}`, `${value}`);
  await box.test.restart();
  expect(Number(await readFile("/proc/sys/fs/pipe-user-pages-soft", "utf8"))).toBe(0);

  const { id } = await box.create();
  await box.start(id, ["python3", "-c", hungry], { tag: "hungry" });
  await box.sh(id, "until [ -e /srv/ready ]; do sleep 0.02; done");
  const clones = await box.fork(id, { count: 2 });
  const open = "ls -l /proc/$(pgrep -x python3)/fd | grep -cE 'pipe:|inotify'";
  for (const ref of [id, ...clones.map((clone) => clone.id)])
    expect(Number(await box.sh(ref, open))).toBeGreaterThanOrEqual(1170);
});
