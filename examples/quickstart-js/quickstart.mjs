// The life of a sandbox through the npm package `e2b`, from its creation to its end. `scripts/quickstart` has to run;
// examples/README.md has the commands.
import { Sandbox } from "e2b";

// The package reads these variables itself. Without an address it asks E2B's own service, so we stop before that.
if (!process.env.E2B_API_URL && !process.env.E2B_DOMAIN) {
  console.error("quickstart: E2B_API_URL is not set. For what scripts/quickstart leaves running:");
  console.error(
    "  export E2B_API_URL=http://127.0.0.1:7070 E2B_SANDBOX_URL=http://127.0.0.1:7070 E2B_API_KEY=e2b_0",
  );
  process.exit(2);
}

const counter = `
import itertools, time
for number in itertools.count(1):
    print(number, flush=True)
    time.sleep(0.1)
`;
const say = (what, text) => console.log(`${what.padEnd(10)}${text}`);

// From the template `python`. Should we forget it, it ends by itself after five minutes.
const sandbox = await Sandbox.create("python", { timeoutMs: 300_000 });
// What has to be removed in the end, whatever happens in between.
const all = [sandbox];
try {
  say("created", sandbox.sandboxId);

  // A command. This waits for its end, and throws CommandExitError where the exit code is not 0.
  const hello = await sandbox.commands.run("echo hello from $(whoami)");
  say("command", hello.stdout.trim());

  // Files. A path that is not absolute begins at the user's home.
  await sandbox.files.write("greeting.txt", "good morning");
  say("file", await sandbox.files.read("greeting.txt"));

  // Output as it comes, instead of all at the end.
  await sandbox.commands.run("for n in 1 2 3; do echo line $n; sleep 0.1; done", {
    onStdout: (text) => say("output", text.trimEnd()),
  });

  // A process that goes on. It counts in its own memory, and writes that nowhere. It has no time limit.
  await sandbox.files.write("counter.py", counter);
  const { pid } = await sandbox.commands.run("python3 counter.py", { background: true, timeoutMs: 0 });
  say("process", `${pid} counts: ${await nextNumber(sandbox, pid)}`);

  // Pause: memory and processes go to disk, and nothing runs any more. Connect brings them back as they were.
  await sandbox.pause();
  say("paused", `its state is "${(await sandbox.getInfo()).state}"`);
  await sandbox.connect();
  say("connected", `process ${pid} counts on: ${await nextNumber(sandbox, pid)}`);

  // Fork: two more sandboxes with the same memory, files and processes, which go their own ways from here.
  const forks = await sandbox.fork({ count: 2, timeoutMs: 300_000 });
  all.push(...forks.filter((fork) => fork instanceof Sandbox));
  for (const fork of forks) {
    // One that failed is an Error in its place, and the others are there all the same.
    if (fork instanceof Error) throw fork;
    await fork.files.write("greeting.txt", `good evening from ${fork.sandboxId}`);
    say("fork", `${fork.sandboxId}: its own process ${pid} counts on: ${await nextNumber(fork, pid)}`);
  }
  say("source", `still says "${await sandbox.files.read("greeting.txt")}"`);
} finally {
  // Kill: gone, with all that it had.
  await Promise.all(all.map((each) => each.kill()));
}
say("killed", `all ${all.length}; is the first one running? ${await sandbox.isRunning()}`);

/** Listens to a process that runs already, until it has said its next number. It runs on. */
async function nextNumber(of, pid) {
  let heard;
  const number = new Promise((resolve) => {
    heard = resolve;
  });
  const listening = await of.commands.connect(pid, { onStdout: (text) => heard(text.split("\n")[0]) });
  await number;
  await listening.disconnect();
  return number;
}
