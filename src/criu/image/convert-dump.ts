/**
 * Makes a dump share its memory: the pages of private anonymous mappings go into one sparse file for each process, and
 * the images say that these mappings are private ones of that file. A restore then reads none of them, and all clones
 * have the same pages of the page cache.
 *
 * Killed anywhere, it leaves a dump that restores to the same memory: a file that nothing refers to comes first, then
 * the mappings, whose pages are still in the images and win; only then the page map without them.
 */
import { statSync } from "node:fs";
import { link, open, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { DomainError } from "../../lib/errors.js";
import { damaged } from "../damaged.js";
import { onlyMessage } from "./codec.js";
import { copyRuns } from "./copy-runs.js";
import {
  imageMode,
  numbersOf,
  readMessages,
  replaceDumpFile,
  replaceMessages,
  requireDumpFile,
} from "./dump-files.js";
import { namesIn, neededNames, requireWhole } from "./memory-names.js";
import { allBytesOf, bytesField, type Message, parseMessage, serializeMessage } from "./message.js";
import { type Pagemap, presentBytes, readPagemap, writePagemap } from "./pagemap.js";
import { type Area, keepAll, keptRuns, type MemoryPlan, planMemory, type Run } from "./plan-memory.js";
import { findMount, type MemoryFile, memoryFileMode, readFileTable, regularFileEntry } from "./reg-file.js";
import { mapAreas, pageBytes, parseVma, type Vma } from "./vma.js";

export interface ConvertOptions {
  /** CRIU's images; they are changed. */
  readonly images: string;
  /** Where the memory files go, as `<checkpoint>-<pid>`. */
  readonly memory: string;
  /** Has those of earlier checkpoints, of which parts may be folded into the new ones. */
  readonly earlierMemory: string;
  readonly checkpoint: string;
  /** Where processes have that directory, in a mount whose files may be mapped and executed. */
  readonly memoryPath: string;
  /** The mount that it is in. */
  readonly mountPath: string;
  /** Whether a process gets a memory file, given what would move into it. All of them, if not given. */
  readonly isWorthIt?: (pid: number, movedBytes: number) => boolean;
  /** Called when memory files are written, and nothing refers to them. */
  readonly written?: () => void;
  /** Of the memory files; whoever runs this, if not given. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

export interface ConvertedProcess {
  /** Its id inside. */
  readonly pid: number;
  readonly movedPages: number;
  /** Pages that each restore reads. */
  readonly keptPages: number;
  readonly file: { readonly name: string; readonly bytes: number } | undefined;
  /** It maps memory files, its own or those of earlier checkpoints. */
  readonly mapsMemory: boolean;
}

export interface ConvertedDump {
  readonly processes: readonly ConvertedProcess[];
  /** Names of the memory files of earlier checkpoints that this one needs as well. */
  readonly earlier: readonly string[];
}

interface Subject {
  readonly pid: number;
  readonly mm: Message;
  readonly vmas: readonly Vma[];
  readonly pagemap: Pagemap;
  readonly plan: MemoryPlan;
}

interface Conversion extends Subject {
  readonly file: MemoryFile;
  readonly name: string;
  /** Of the pages image that gets what stays. */
  readonly pagesId: number;
}

const vmasField = 14;
const filesName = "files.img";
/** So many processes before others get their turn. */
const perTurn = 16;
const nameMax = 100;

export async function convertDump(options: ConvertOptions, signal: AbortSignal): Promise<ConvertedDump> {
  const { images, checkpoint, memoryPath } = options;
  if (!/^[A-Za-z0-9][\w.-]*$/.test(checkpoint) || checkpoint.length > nameMax)
    throw new DomainError("invalid_argument", `a memory file cannot be named after ${checkpoint}`);
  const files = await readMessages(images, filesName, "files");
  const { paths, freeId } = readFileTable(files, filesName);
  const earlier = namesIn(paths, memoryPath);
  if ([...earlier.values()].some((name) => name.slice(0, name.lastIndexOf("-")) === checkpoint))
    throw new DomainError("failed_precondition", `the dump of ${checkpoint} shares its memory already`);
  const subjects: Subject[] = [];
  for (const [index, pid] of numbersOf(images, "mm").entries()) {
    if (index % perTurn === perTurn - 1) await setImmediate();
    signal.throwIfAborted();
    subjects.push(await readSubject(pid, options, paths));
  }
  const vmas = subjects.flatMap((subject) => subject.vmas);
  requireWhole(options.earlierMemory, earlier, vmas);
  const free = { fileId: freeId, pagesId: await freePagesId(images, subjects) };
  const conversions = await nameFiles(options, subjects, free);
  if (conversions.length > 0) await writeAll(options, conversions, { files, earlier }, signal);
  const named = new Map(conversions.map(({ pid, name, file }) => [pid, { name, bytes: file.bytes }]));
  return {
    processes: subjects.map(({ pid, plan }) => ({
      pid,
      movedPages: plan.movedBytes / pageBytes,
      keptPages: plan.keptBytes / pageBytes,
      file: named.get(pid),
      mapsMemory: plan.mapped.length > 0 || plan.refusals.includes("earlier"),
    })),
    earlier: await neededNames(images, earlier, new Set(subjects.flatMap(({ plan }) => [...plan.fileIds]))),
  };
}

async function writeAll(
  options: ConvertOptions,
  conversions: readonly Conversion[],
  { files, earlier }: { readonly files: readonly Buffer[]; readonly earlier: ReadonlyMap<number, string> },
  signal: AbortSignal,
): Promise<void> {
  const { images, memory } = options;
  const made: string[] = [];
  try {
    for (const conversion of conversions) {
      const target = join(memory, conversion.name);
      // Left by an attempt that was killed: no image refers to it, as was seen above.
      await rm(target, { force: true });
      made.push(target, join(images, pagesName(conversion.pagesId)));
      await writePages(options, target, conversion, signal);
      await foldEarlier(options.earlierMemory, target, { conversion, earlier }, signal);
    }
  } catch (thrown) {
    for (const path of made) await rm(path, { force: true });
    throw diskError(thrown);
  }
  options.written?.();
  replaceMessages(images, filesName, "files", [
    ...files,
    ...conversions.map(({ file }) => regularFileEntry(file)),
  ]);
  for (const conversion of conversions) await switchOver(images, conversion);
}

async function readSubject(
  pid: number,
  { images, memory, memoryPath, isWorthIt = () => true }: ConvertOptions,
  paths: ReadonlyMap<number, string>,
): Promise<Subject> {
  const name = mmName(pid);
  const mm = parseMessage(onlyMessage(await readMessages(images, name, "mm"), name), name);
  const vmas = allBytesOf(mm, vmasField, name).map((bytes) => parseVma(bytes, name));
  if (vmas.length === 0) throw damaged(name, "it has no mappings");
  const pagemap = readPagemap(await requireDumpFile(images, pagemapName(pid)), pagemapName(pid));
  const canLink = onOneFileSystem(images, memory);
  const input = { vmas, entries: pagemap.entries, paths, memoryPath, canLink, name };
  const planned = planMemory(input);
  const plan = isWorthIt(pid, planned.movedBytes) ? planned : keepAll(input, planned.refusals);
  return { pid, mm, vmas, pagemap, plan };
}

/** CRIU gives each page map its own pages. Only so the old ones can go when a new image has what is left. */
async function freePagesId(images: string, subjects: readonly Subject[]): Promise<number> {
  const used = new Set<number>();
  const use = (pagesId: number, name: string) => {
    if (used.has(pagesId)) throw damaged(name, `its pages ${pagesId} are those of another one too`);
    used.add(pagesId);
  };
  for (const { pid, pagemap } of subjects) use(pagemap.pagesId, pagemapName(pid));
  for (const id of numbersOf(images, "pagemap-shmem")) {
    const name = `pagemap-shmem-${id}.img`;
    use(readPagemap(await requireDumpFile(images, name), name).pagesId, name);
  }
  return Math.max(0, ...used) + 1;
}

async function nameFiles(
  { images, checkpoint, memoryPath, mountPath }: ConvertOptions,
  subjects: readonly Subject[],
  free: { readonly fileId: number; readonly pagesId: number },
): Promise<Conversion[]> {
  const sharing = subjects.filter(({ plan }) => plan.mapped.length > 0);
  if (sharing.length === 0) return [];
  const mountId = await findMountId(images, mountPath);
  return sharing.map((subject, index) => {
    const name = `${checkpoint}-${subject.pid}`;
    const path = `${memoryPath}/${name}`;
    const file = { id: free.fileId + index, path, bytes: subject.plan.fileBytes, mountId };
    return { ...subject, name, file, pagesId: free.pagesId + index };
  });
}

async function findMountId(images: string, mountPath: string): Promise<number | undefined> {
  const tables = [];
  for (const id of numbersOf(images, "mountpoints")) {
    const name = `mountpoints-${id}.img`;
    tables.push({ name, messages: await readMessages(images, name, "mounts") });
  }
  return findMount(tables, mountPath);
}

const onOneFileSystem = (one: string, other: string) => statSync(one).dev === statSync(other).dev;

/** New files and names only: what the dump says is the same. A linked pages image gets longer, and another owner. */
async function writePages(
  { images, owner }: ConvertOptions,
  target: string,
  { pagemap, plan, pagesId }: Conversion,
  signal: AbortSignal,
): Promise<void> {
  const name = pagesName(pagemap.pagesId);
  await using pages = await open(join(images, name), "r");
  const { size } = await pages.stat();
  if (size < presentBytes(pagemap.entries)) throw damaged(name, `it has only ${size} bytes`);
  const targetFlags = plan.linked ? "r+" : "wx";
  if (plan.linked) {
    await link(join(images, name), target);
    // What an attempt that was killed has put behind the pages.
    await truncate(target, presentBytes(pagemap.entries));
  }
  const write = async (path: string, flags: string, mode: number, runs: readonly Run[], bytes: number) => {
    await using file = await open(path, flags, mode);
    await file.chmod(mode);
    if (path === target && owner !== undefined) await file.chown(owner.uid, owner.gid);
    await file.truncate(bytes);
    await copyRuns({ file: pages, name }, file, runs, signal);
  };
  await write(target, targetFlags, memoryFileMode, plan.moved, plan.fileBytes);
  await write(join(images, pagesName(pagesId)), "w", imageMode, keptRuns(plan.kept), plan.keptBytes);
}

/** What a process did not change of memory that it has from earlier files, into its new one. */
async function foldEarlier(
  directory: string,
  target: string,
  { conversion, earlier }: { readonly conversion: Conversion; readonly earlier: ReadonlyMap<number, string> },
  signal: AbortSignal,
): Promise<void> {
  const { folded } = conversion.plan;
  for (const fileId of new Set(folded.map((run) => run.fileId))) {
    const name = earlier.get(fileId);
    if (name === undefined) throw damaged(filesName, `it has no memory file ${fileId}`);
    const runs = folded.filter((run) => run.fileId === fileId).sort((a, b) => a.from - b.from);
    await using from = await open(join(directory, name), "r");
    await using to = await open(target, "r+");
    await copyRuns({ file: from, name, isSparse: true }, to, runs, signal);
  }
}

async function switchOver(images: string, conversion: Conversion): Promise<void> {
  const { pid, mm, plan, file, pagemap, pagesId } = conversion;
  const areas = new Map<number, Area[]>();
  for (const area of plan.mapped) areas.set(area.index, [...(areas.get(area.index) ?? []), area]);
  let index = -1;
  const message = mm.flatMap((field) => {
    if (field.number !== vmasField) return [field];
    index++;
    const own = areas.get(index);
    const [bytes] = allBytesOf([field], vmasField, mmName(pid));
    return own === undefined || bytes === undefined
      ? [field]
      : mapAreas(bytes, own, file.id, mmName(pid)).map((part) => bytesField(vmasField, part));
  });
  replaceMessages(images, mmName(pid), "mm", [serializeMessage(message)]);
  const left = writePagemap({ head: pagemap.head, entries: plan.kept }, pagesId);
  replaceDumpFile(images, pagemapName(pid), left);
  await rm(join(images, pagesName(pagemap.pagesId)));
}

function diskError(thrown: unknown): unknown {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  if (code !== "ENOSPC" && code !== "EDQUOT") return thrown;
  return new DomainError("resource_exhausted", "the disk is full: the memory cannot be written", {
    cause: thrown,
    hint: "delete checkpoints that are not needed",
  });
}

const mmName = (pid: number) => `mm-${pid}.img`;
const pagemapName = (pid: number) => `pagemap-${pid}.img`;
const pagesName = (id: number) => `pages-${id}.img`;
