/** Commit: the filesystem of a sandbox becomes an image that is usable at once. */
import { expect, it } from "vitest";
import { connectContainerd } from "../../../src/containerd/client.js";
import type { CommitOptions } from "../../../src/node/node.js";
import { openBox, soon } from "../../support/box.js";
import { testRuntime } from "../../support/containerd.js";

const box = openBox("commit");

const commit = (ref: string, options: Partial<CommitOptions> = {}) => {
  const whole = { image: "made", replace: false, env: {}, cmd: [], entrypoint: [], ...options };
  return box.node.sandboxes.commit(ref, whole, soon());
};
const fromImage = (image: string) => box.createCold({ image });

/** Files of every kind, owned by several users, and what is gone of the base image. */
const change = `
mkdir -p /data && cd /data
echo root > root; echo user > user; chown 1000:1000 user; chmod 640 user
cp /bin/true setuid; chmod 4755 setuid; cp /bin/true setgid; chown 1000:1000 setgid; chmod 2755 setgid
ln -s root link; ln root hard; mkfifo fifo
rm -r /usr/share/doc; rm /etc/debian_version; mkdir /usr/share/doc; echo new > /usr/share/doc/new
`;
const look = `
cd /data; stat -c '%n %u:%g %a %F %h %s' *; readlink link
ls -A /usr/share/doc; test -e /etc/debian_version && echo kept || echo gone
`;

it.each(["running", "paused", "stopped"] as const)(
  "keeps every file as it was in a %s sandbox",
  async (status) => {
    const { id } = await box.create();
    await box.sh(id, change);
    const before = await box.sh(id, look);
    if (status === "paused") await box.node.sandboxes.pause(id, soon());
    if (status === "stopped") await box.node.sandboxes.stop(id, { graceMs: 1000 }, soon());
    const { layerBytes } = await commit(id);
    expect(layerBytes).toBeGreaterThan(0);
    expect((await box.node.sandboxes.get(id)).state.status).toBe(status);
    const made = await fromImage("made");
    expect(await box.sh(made.id, look)).toBe(before);
  },
);

it("stacks what came from a template, a checkpoint and the sandbox itself", async () => {
  await box.buildTemplate({
    startCommand: "echo one > /tmp/one; sleep 1000",
    readyCommand: "test -s /tmp/one",
  });
  const source = { kind: "template", template: "t" } as const;
  const first = await box.node.sandboxes.create({ source, labels: {}, env: {} }, soon());
  await box.sh(first.id, "echo two > /tmp/two");
  const [clone] = await box.fork(first.id);
  await box.sh(clone?.id ?? "", "echo three > /tmp/three; rm /tmp/one");
  await commit(clone?.id ?? "");
  const made = await fromImage("made");
  expect(await box.sh(made.id, "cd /tmp; cat two three; ls")).toBe("two\nthree\nthree\ntwo");
});

it("merges the config and adds a line of history", async () => {
  const { id } = await box.create({ name: "author", env: { FROM_CREATE: "1" } });
  await commit(id, {
    env: { ADDED: "2" },
    cmd: ["python3"],
    user: "root",
    cwd: "/data",
    comment: "step 1000",
  });
  const { config } = await box.node.images.get("made", soon());
  expect(config).toMatchObject({ cmd: ["python3"], user: "root", cwd: "/data" });
  expect(config.env).toMatchObject({ FROM_CREATE: "1", ADDED: "2", PATH: expect.any(String) });
  const containerd = await connectContainerd({
    address: testRuntime().address,
    namespace: box.holder.namespace,
  });
  const resolved = await containerd.images.resolve("made");
  containerd.close();
  expect(JSON.stringify(resolved.config)).toContain("step 1000");
});

it("makes an image that a template is built from, and whose sandboxes fork and pause", async () => {
  const { id } = await box.create();
  await box.sh(id, "echo kept > /home/user/state; chown user /home/user/state");
  await commit(id);
  await box.buildTemplate({ image: "made" });
  const source = { kind: "template", template: "t" } as const;
  const made = await box.node.sandboxes.create({ source, labels: {}, env: {} }, soon());
  const [clone] = await box.fork(made.id);
  await box.node.sandboxes.pause(clone?.id ?? "", soon());
  await box.node.sandboxes.resume(clone?.id ?? "", soon());
  expect(await box.sh(clone?.id ?? "", "cat ~/state; stat -c %U ~/state", { user: "user" })).toBe(
    "kept\nuser",
  );
});

it("replaces an image of that name only when told to", async () => {
  const { id } = await box.create();
  await commit(id);
  await expect(commit(id)).rejects.toMatchObject({ code: "already_exists" });
  await box.sh(id, "echo second > /tmp/second");
  await commit(id, { replace: true });
  const made = await fromImage("made");
  expect(await box.sh(made.id, "cat /tmp/second")).toBe("second");
});

it.each(["", "UPPER CASE", "a b", "../x", "a".repeat(300)])("refuses the name %j", async (image) => {
  const { id } = await box.create();
  await expect(commit(id, { image })).rejects.toMatchObject({ code: "invalid_argument" });
});
