// @ts-check
/** The registry's page: asks its administration every 2 s. Whatever it shows is set as text, never as markup. */

const everyMs = 2000;
const keyName = "ramet-admin-key";
const nodeHead = [
  "Node",
  "Health",
  "Running",
  "Paused",
  "Lost",
  "Slots",
  "Load",
  "Memory free",
  "Disk free",
  "Seen",
];
const slotHead = ["Template", "Ready", "Nodes", "Pool", "Why"];

const sandboxHead = ["Sandbox", "Status", "Node", "Team"];
/** More are too many to look at, and to ask for every 2 s. */
const sandboxesMax = 200;

/** @param {number} free @param {number} all */
const ofBytes = (free, all) => `${(free / 2 ** 30).toFixed(1)} of ${(all / 2 ** 30).toFixed(1)} GiB`;

/** @param {string} time */
export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}

/** @param {any} node */
function nodeRow({ name, health, cordoned, sandboxes, seenAt, report }) {
  const slots = (report?.templates ?? []).reduce((sum, one) => sum + one.slotsReady, 0);
  const load =
    report === undefined
      ? ["-", "-", "-"]
      : [
          `${report.load.toFixed(1)} of ${report.cpus}`,
          ofBytes(report.memoryFreeBytes, report.memoryBytes),
          ofBytes(report.diskFreeBytes, report.diskBytes),
        ];
  const state = cordoned ? `${health}, cordoned` : health;
  const { running, paused, lost } = sandboxes;
  const seen = health === "ready" ? "now" : ago(seenAt);
  return [name, state, running, paused, lost, slots, ...load, seen].map(String);
}

/** What there is in all, in words. @param {any[]} nodes */
export function summary(nodes) {
  const sum = (of) => nodes.reduce((total, node) => total + of(node), 0);
  const ready = sum(({ health }) => (health === "ready" ? 1 : 0));
  const [running, paused, lost] = ["running", "paused", "lost"].map((kind) =>
    sum((node) => node.sandboxes[kind]),
  );
  const slots = sum(({ report }) => (report?.templates ?? []).reduce((all, one) => all + one.slotsReady, 0));
  return `${ready} of ${nodes.length} nodes ready. ${running} sandboxes running, ${paused} paused, ${lost} lost; ${slots} warm slots.`;
}

/** Undefined: they are too many. @param {any[]} nodes @param {(node: string) => Promise<any[]>} askNode */
export async function sandboxRows(nodes, askNode) {
  const counts = nodes.map(({ sandboxes }) => sandboxes.running + sandboxes.paused + sandboxes.lost);
  if (counts.reduce((sum, count) => sum + count, 0) > sandboxesMax) return undefined;
  const row =
    (node) =>
    ({ id, status, team, lastSeenAt }) => [
      id,
      lastSeenAt === undefined ? status : `${status}, last seen ${ago(lastSeenAt)}`,
      node.name,
      team,
    ];
  const some = nodes.filter((_node, index) => counts[index] > 0);
  return (await Promise.all(some.map(async (node) => (await askNode(node.id)).map(row(node))))).flat();
}

/** @param {any[]} nodes @param {any[]} pools */
export function rows(nodes, pools) {
  const slots = new Map(pools.map(({ template }) => [template, { ready: 0, nodes: 0 }]));
  const ready = nodes.filter(({ health }) => health === "ready");
  for (const { report } of ready)
    for (const { name, slotsReady } of report?.templates ?? []) {
      const before = slots.get(name) ?? { ready: 0, nodes: 0 };
      slots.set(name, { ready: before.ready + slotsReady, nodes: before.nodes + 1 });
    }
  const poolOf = (name) => pools.find(({ template }) => template === name);
  const slotRow = ([name, { ready, nodes: holders }]) => {
    const pool = poolOf(name);
    const bounds = pool === undefined ? "-" : `${pool.min} to ${pool.max}`;
    return [name, ready, holders, bounds, pool?.state?.why ?? ""].map(String);
  };
  return { nodes: nodes.map(nodeRow), slots: [...slots].sort().map(slotRow) };
}

/** @param {Document} document @param {Element} table @param {string[]} head @param {string[][]} body */
export function fill(document, table, head, body) {
  const row = (kind) => (cells) => {
    const line = document.createElement("tr");
    for (const text of cells) {
      const cell = document.createElement(kind);
      cell.textContent = text;
      line.append(cell);
    }
    return line;
  };
  table.replaceChildren(row("th")(head), ...body.map(row("td")));
}

/** @param {string} path @param {string | null} key */
async function ask(path, key) {
  const headers = key === null ? {} : { authorization: `Bearer ${key}` };
  const response = await fetch(`admin/v1${path}`, { headers, signal: AbortSignal.timeout(10_000) });
  if (response.ok) return response.json();
  const { message } = await response.json().catch(() => ({ message: `status ${response.status}` }));
  throw Object.assign(new Error(message), { status: response.status });
}

function start() {
  const part = (id) => document.getElementById(id);
  const [message, login, input, content] = ["message", "login", "key", "content"].map(part);
  const show = (isIn) => {
    login.hidden = isIn;
    content.hidden = !isIn;
  };
  let timer;
  async function look() {
    clearTimeout(timer);
    const key = sessionStorage.getItem(keyName);
    try {
      const [nodes, pools] = await Promise.all([ask("/nodes", key), ask("/pools", key)]);
      const shown = rows(nodes, pools);
      const listed = await sandboxRows(nodes, (node) => ask(`/nodes/${node}/sandboxes`, key));
      part("summary").textContent = summary(nodes);
      part("many").hidden = listed !== undefined;
      fill(document, part("sandboxes"), sandboxHead, listed ?? []);
      fill(document, part("nodes"), nodeHead, shown.nodes);
      fill(document, part("slots"), slotHead, shown.slots);
      show(true);
      message.textContent = `As of ${new Date().toLocaleTimeString()}`;
    } catch (thrown) {
      if (thrown.status === 401) {
        sessionStorage.removeItem(keyName);
        part("summary").textContent = "";
        for (const table of ["nodes", "slots", "sandboxes"]) part(table).replaceChildren();
        show(false);
        message.textContent = key === null ? "This registry wants a key." : thrown.message;
        return;
      }
      message.textContent = `The registry does not answer: ${thrown.message}`;
    }
    timer = setTimeout(look, everyMs);
  }
  login.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(keyName, input.value.trim());
    input.value = "";
    void look();
  });
  void look();
}

if (globalThis.document !== undefined) start();
