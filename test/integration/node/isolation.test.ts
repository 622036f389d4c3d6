/** What a sandbox looks like from inside, to its root and to its user. */
import { expect, it } from "vitest";
import { openBox } from "../../support/box.js";

const box = openBox("isolation");

const syscall = (number: number, ...args: readonly string[]) =>
  `import ctypes; c = ctypes.CDLL(None, use_errno=True); r = c.syscall(${[number, ...args].join(", ")}); print(r, ctypes.get_errno())`;

it("has a root that is nobody outside, and few capabilities", async () => {
  const { id, state } = await box.create();
  expect((await box.sh(id, "cat /proc/self/uid_map")).split(/\s+/)).toEqual(["0", "100000", "65536"]);
  const status = await box.sh(id, "grep -E 'CapBnd|CapEff|NoNewPrivs|Seccomp:' /proc/self/status");
  const facts = Object.fromEntries(status.split("\n").map((line) => line.split(":\t")));
  expect(facts).toMatchObject({ NoNewPrivs: "1", Seccomp: "2" });
  // No CAP_SYS_ADMIN (21), CAP_NET_ADMIN (12), CAP_SYS_PTRACE (19), CAP_MKNOD (27) or CAP_SYS_MODULE (16).
  const bounding = BigInt(`0x${facts["CapBnd"]}`);
  for (const forbidden of [21n, 12n, 19n, 27n, 16n]) expect((bounding >> forbidden) & 1n).toBe(0n);
  expect(state.status).toBe("running");
});

it.each([
  ["io_uring", syscall(425, "8", "0"), /^-1 (1|38)$/],
  ["bpf", syscall(321, "0", "0", "0"), /^-1 (1|38)$/],
  ["userfaultfd", syscall(323, "0"), /^-1 (1|38)$/],
  ["a new user namespace", syscall(272, "0x10000000"), /^-1 1$/],
  ["a new network namespace", syscall(272, "0x40000000"), /^-1 1$/],
])("refuses %s", async (_name, program, answer) => {
  const { id } = await box.create();
  expect((await box.run(id, ["python3", "-c", program])).stdout.trim()).toMatch(answer);
});

it.each([
  [
    "mounting",
    "mount -t tmpfs none /mnt 2>&1 || python3 -c \"import ctypes,sys; sys.exit(-ctypes.CDLL(None).mount(b'none', b'/mnt', b'tmpfs', 0, None))\"",
  ],
  ["making a device", "mknod /tmp/sda b 8 0"],
  ["writing to /proc/sys", "echo 1 > /proc/sys/kernel/panic"],
  ["writing to /sys", "echo 1 > /sys/kernel/mm/ksm/run"],
  ["reading the kernel's memory", "head -c 4096 /proc/kcore | grep -q ."],
  ["tracing the guest", 'python3 -c "import ctypes,sys; sys.exit(-ctypes.CDLL(None).ptrace(16, 1, 0, 0))"'],
  ["killing the guest", "kill -9 1; sleep 0.1; kill -0 1 && false"],
])("keeps its root from %s", async (_name, script) => {
  const { id } = await box.create();
  const { status } = await box.run(id, ["bash", "-c", script]);
  expect(status).not.toEqual({ kind: "code", code: 0 });
  expect(await box.sh(id, "echo alive")).toBe("alive");
});

it("shows nothing of the host: processes, network, other sandboxes", async () => {
  const [{ id }, other] = [await box.create(), await box.create()];
  await box.start(other.id, ["sleep", "4242"]);
  expect(await box.sh(id, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")).not.toMatch(/4242|containerd|node /);
  expect(await box.sh(id, "ls /sys/class/net")).toBe("lo");
  expect(
    await box.sh(
      id,
      "python3 -c \"import socket; s=socket.create_server(('127.0.0.1', 80)); print(socket.create_connection(('127.0.0.1', 80)).getpeername()[1])\"",
    ),
  ).toBe("80");
  expect(await box.sh(id, "ls /.ramet")).toBe("boot_id\ngeneration\nguest\nguest.sock\nmemory");
  expect(await box.sh(id, "ls -ln /.ramet/guest | cut -c1-10")).toBe("-r-xr-xr-x");
});

it("lets a setuid program work only where that was asked for", async () => {
  const script = "cp /usr/bin/id /usr/local/bin/rootid && chmod 4755 /usr/local/bin/rootid";
  const outcomes: string[] = [];
  for (const allowPrivilegeEscalation of [true, false]) {
    const { id } = await box.createCold({ allowPrivilegeEscalation });
    await box.sh(id, script);
    outcomes.push(await box.sh(id, "/usr/local/bin/rootid -u", { user: "user" }));
  }
  expect(outcomes).toEqual(["0", "1000"]);
});

it("has a /dev/shm for everybody, whose files go along with a fork", async () => {
  const { id } = await box.create();
  expect(await box.sh(id, "stat -c '%a %F' /dev/shm")).toBe("1777 directory");
  await box.sh(id, "printf kept > /dev/shm/file", { user: "nobody" });
  const [clone] = await box.fork(id, { count: 1 });
  expect(await box.sh(clone?.id ?? "", "cat /dev/shm/file")).toBe("kept");
});
