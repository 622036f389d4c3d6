/** Reports as they come over the wire, into the domain: everything is bounded here. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { HeldTemplate, NodeLoad, NodeStock, ReportedSandbox, SandboxNews } from "../fleet/node.js";
import type {
  HeldTemplate as HeldTemplateMessage,
  Hello as HelloMessage,
  Inventory as InventoryMessage,
  Load as LoadMessage,
  ReportedSandbox as SandboxMessage,
  Stock as StockMessage,
} from "../gen/ramet/v1/membership_pb.js";
import { parseAddress } from "../lib/address.js";
import { DomainError } from "../lib/errors.js";
import { isId, isName, quote } from "../lib/ids.js";
import { sandboxStatuses } from "../sandbox/state.js";

const most = {
  templates: 1000,
  checkpoints: 100_000,
  images: 10_000,
  imageLength: 512,
  partSandboxes: 1000,
  labels: 16,
  labelLength: 256,
  reasonLength: 1024,
  wordLength: 64,
} as const;

const bad = (what: string) => new DomainError("invalid_argument", `a report with ${what}`);

export function parseHello(
  message: HelloMessage | undefined,
): Pick<HelloMessage, "protocol" | "version" | "instance" | "address"> {
  if (message === undefined) throw bad("no hello: the first one has it");
  const { protocol, version, instance, address } = message;
  if (version.length > most.wordLength || instance.length === 0 || instance.length > most.wordLength)
    throw bad("a version or an instance that is too long, or none");
  parseAddress("address of a node", address);
  return { protocol, version, instance, address };
}

export function parseLoad(message: LoadMessage | undefined): NodeLoad {
  if (message === undefined) throw bad("no load");
  const { cpus, load, templates } = message;
  if (!Number.isFinite(load) || load < 0) throw bad(`a load of ${load}`);
  return {
    cpus,
    load,
    memoryBytes: bytes(message.memoryBytes),
    memoryFreeBytes: bytes(message.memoryFreeBytes),
    diskBytes: bytes(message.diskBytes),
    diskFreeBytes: bytes(message.diskFreeBytes),
    templates: atMost(templates, most.templates, "templates").map(parseTemplate),
  };
}

function parseTemplate(message: HeldTemplateMessage): HeldTemplate {
  const { name, checkpoint, slotsReady, cloneBytes, cpus, memoryBytes } = message;
  if (!isName(name) || !isId(checkpoint))
    throw bad(`a template ${quote(name)} of checkpoint ${quote(checkpoint)}`);
  if (cpus !== undefined && !(Number.isFinite(cpus) && cpus > 0)) throw bad(`a template of ${cpus} cpus`);
  return {
    ...{ name, checkpoint, slotsReady, cloneBytes: bytes(cloneBytes) },
    ...(cpus === undefined ? {} : { cpus }),
    ...(memoryBytes === undefined ? {} : { memoryBytes: bytes(memoryBytes) }),
  };
}

export function parseStock({ checkpoints, images }: StockMessage): NodeStock {
  atMost(checkpoints, most.checkpoints, "checkpoints");
  atMost(images, most.images, "images");
  const wrong = checkpoints.find((id) => !isId(id)) ?? images.find((name) => name.length > most.imageLength);
  if (wrong !== undefined) throw bad(`${quote(wrong)} in stock`);
  return { checkpoints, images };
}

/** Puts together what came in parts; undefined while more is to come. */
export function openInventoryParts(sandboxesMax = 100_000) {
  let parts: SandboxNews | undefined;
  return (message: InventoryMessage): SandboxNews | undefined => {
    const part = parsePart(message);
    if (parts !== undefined && parts.isWhole !== part.isWhole)
      throw bad("an inventory that is whole in part");
    const sandboxes = [...(parts?.sandboxes ?? []), ...part.sandboxes];
    const gone = [...(parts?.gone ?? []), ...part.gone];
    if (sandboxes.length > sandboxesMax || gone.length > sandboxesMax)
      throw bad(`more than ${sandboxesMax} sandboxes`);
    const together = { isWhole: part.isWhole, sandboxes, gone };
    parts = message.more ? together : undefined;
    return message.more ? undefined : together;
  };
}

function parsePart({ whole, sandboxes, gone }: InventoryMessage): SandboxNews {
  const wrong = atMost(gone, most.partSandboxes, "sandboxes that are gone").find((id) => !isId(id));
  if (wrong !== undefined) throw bad(`${quote(wrong)} among the sandboxes that are gone`);
  return {
    isWhole: whole,
    sandboxes: atMost(sandboxes, most.partSandboxes, "sandboxes").map(parseSandbox),
    gone,
  };
}

function parseSandbox({
  id,
  status: word,
  since,
  labels,
  reason,
  filesOnly,
}: SandboxMessage): ReportedSandbox {
  const status = sandboxStatuses.find((candidate) => candidate === word);
  if (!isId(id) || status === undefined || since === undefined)
    throw bad(`a sandbox ${quote(id)} that is ${quote(word)}`);
  const pairs = atMost(Object.entries(labels), most.labels, "labels");
  if (pairs.some(([key, value]) => key.length > most.labelLength || value.length > most.labelLength))
    throw bad(`a label of sandbox ${id} that is too long`);
  if (reason.length > most.reasonLength) throw bad(`a reason of sandbox ${id} that is too long`);
  return {
    ...{ id, status, since: timestampDate(since), labels },
    ...(reason === "" ? {} : { reason }),
    ...(status === "paused" ? { keepsMemory: !filesOnly } : {}),
  };
}

function atMost<T>(items: T[], count: number, what: string): T[] {
  if (items.length > count) throw bad(`${items.length} ${what}; ${count} are taken`);
  return items;
}

function bytes(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw bad(`${value} bytes of something`);
  return Number(value);
}
