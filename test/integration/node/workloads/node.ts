import { askHttp, untilAnswers, type Workload } from "./workload.js";

const nodeProgram = `
const fs = require("node:fs"), http = require("node:http"), crypto = require("node:crypto");
const still = crypto.randomBytes(4 << 20);
const log = fs.openSync("/var/ticks.txt", "a");
let ticks = 0;
setInterval(() => { fs.writeSync(log, ++ticks + "\\n"); }, 5);
http.createServer((request, response) => {
  const lines = fs.readFileSync("/var/ticks.txt", "utf8").trim().split("\\n");
  const right = lines.length === ticks && lines.every((line, i) => Number(line) === i + 1);
  const hash = crypto.createHash("sha256").update(still).digest("hex");
  response.end(JSON.stringify({ exact: [hash, right], progress: ticks }) + "\\n");
}).listen(7005, "127.0.0.1");
`;

export const nodeServer: Workload = {
  name: "Node with timers, a file and an HTTP server",
  start: async (box, ref) => {
    await box.start(ref, ["node", "-e", nodeProgram], { tag: "node" });
    await untilAnswers(box, ref, 7005);
  },
  look: (box, ref) => askHttp(box, ref, 7005),
};

/** Its watches are on a directory that came with the image, on one of its own, and on a file. */
const watcherProgram = `
const fs = require("node:fs"), http = require("node:http"), events = require("node:events");
process.chdir(fs.mkdtempSync("/tmp/watched-"));
fs.writeFileSync("file", "");
const seen = new events.EventEmitter();
const places = ["/usr/share", ".", "file"];
for (const place of places) fs.watch(place, (event, name) => seen.emit(place, name));
let looks = 0;
http.createServer(async (request, response) => {
  looks += 1;
  const next = places.map((place) => events.once(seen, place, { signal: AbortSignal.timeout(5000) }));
  fs.writeFileSync("/usr/share/new", String(looks));
  fs.appendFileSync("file", "x");
  const names = (await Promise.allSettled(next)).map(({ value, reason }) => value?.[0] ?? String(reason));
  await new Promise((resolve) => setTimeout(resolve, 50));
  response.end(JSON.stringify({ exact: names, progress: looks }) + "\\n");
}).listen(7007, "127.0.0.1");
`;

export const watcher: Workload = {
  name: "inotify watches",
  start: async (box, ref) => {
    await box.start(ref, ["node", "-e", watcherProgram], { tag: "watcher" });
    await untilAnswers(box, ref, 7007);
  },
  look: (box, ref) => askHttp(box, ref, 7007),
};
