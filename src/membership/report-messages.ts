/** News as messages of the wire: bounded parts, one after another. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { HeldTemplate, NodeLoad, NodeNews, ReportedSandbox, SandboxNews } from "../fleet/node.js";
import type { HelloSchema, ReportRequestSchema } from "../gen/ramet/v1/membership_pb.js";

export type ReportMessage = MessageInitShape<typeof ReportRequestSchema>;

/** Of one message. */
const sandboxesMax = 1000;

/** One message, with `hello` if there is one, and more where the inventory does not fit into it. */
export function* reportMessages(
  { load, stock, inventory }: NodeNews,
  hello?: MessageInitShape<typeof HelloSchema>,
): Generator<ReportMessage> {
  const parts = inventory === undefined ? [undefined] : inventoryParts(inventory);
  for (const [index, part] of parts.entries())
    yield {
      ...(hello === undefined || index > 0 ? {} : { hello }),
      load: loadMessage(load),
      ...(stock === undefined || index > 0
        ? {}
        : { stock: { checkpoints: [...stock.checkpoints], images: [...stock.images] } }),
      ...(part === undefined ? {} : { inventory: part }),
    };
}

function inventoryParts({ isWhole, sandboxes, gone }: SandboxNews) {
  const count = Math.max(1, Math.ceil(Math.max(sandboxes.length, gone.length) / sandboxesMax));
  const part = <T>(items: readonly T[], index: number) =>
    items.slice(index * sandboxesMax, (index + 1) * sandboxesMax);
  return Array.from({ length: count }, (_, index) => ({
    whole: isWhole,
    more: index + 1 < count,
    sandboxes: part(sandboxes, index).map(sandboxMessage),
    gone: part(gone, index),
  }));
}

function loadMessage({ templates, ...load }: NodeLoad) {
  return {
    cpus: load.cpus,
    memoryBytes: BigInt(load.memoryBytes),
    memoryFreeBytes: BigInt(load.memoryFreeBytes),
    diskBytes: BigInt(load.diskBytes),
    diskFreeBytes: BigInt(load.diskFreeBytes),
    load: load.load,
    templates: templates.map(templateMessage),
  };
}

function templateMessage({ name, checkpoint, slotsReady, cloneBytes, cpus, memoryBytes }: HeldTemplate) {
  return {
    ...{ name, checkpoint, slotsReady, cloneBytes: BigInt(cloneBytes) },
    ...(cpus === undefined ? {} : { cpus }),
    ...(memoryBytes === undefined ? {} : { memoryBytes: BigInt(memoryBytes) }),
  };
}

function sandboxMessage({ id, status, since, labels, reason = "", keepsMemory }: ReportedSandbox) {
  const filesOnly = keepsMemory === false;
  return { id, status, since: timestampFromDate(since), labels: { ...labels }, reason, filesOnly };
}
