// Opens a store that was built and makes sandboxes without end, eight at once; prints the id of each that is acknowledged.
// Arguments: the module, the name of what opens the store, what to hand to it (JSON).
const [module = "", name = "", options = "[]"] = process.argv.slice(2);
const { [name]: open } = await import(module);
const store = await open(...JSON.parse(options));
process.stdout.write("open\n");

const now = new Date();
const make = (id) => ({
  id,
  team: "t1",
  node: "n1",
  template: "base",
  state: { status: "running" },
  startedAt: now,
  endAt: now,
  timeoutMs: 1000,
  onTimeout: { kind: "kill" },
  metadata: { filler: "x".repeat(200) },
  allowInternetAccess: true,
  cpus: 1,
  memoryBytes: 1,
  diskBytes: 1,
});

let last = 0;
async function write() {
  for (;;) {
    const id = `s${process.pid}-${last++}`;
    await store.sandboxes.insert([make(id)]);
    process.stdout.write(`${id}\n`);
  }
}
await Promise.all(Array.from({ length: 8 }, write));
