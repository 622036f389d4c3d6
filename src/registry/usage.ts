/** What each team uses: its sandboxes that run or are about to, compared with its limits before anything is made. */
import type { SandboxOutline } from "../fleet/sandbox.js";
import type { Team, TeamId } from "../fleet/team.js";
import { DomainError } from "../lib/errors.js";

export interface Amount {
  readonly sandboxes: number;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly forksInFlight: number;
}

export interface Usage {
  /** Counts `amount` until it is disposed of, or throws `resource_exhausted` with the numbers. */
  reserve(team: Team, amount: Partial<Amount>): Disposable;
  of(team: TeamId): Amount;
  /** A record has changed, or is gone. */
  changed(id: string, sandbox: SandboxOutline | undefined): void;
}

const none: Amount = { sandboxes: 0, cpus: 0, memoryBytes: 0, forksInFlight: 0 };
const names = {
  sandboxes: "running sandboxes",
  cpus: "cpus",
  memoryBytes: "bytes of memory",
  forksInFlight: "clones being made",
} as const satisfies Record<keyof Amount, string>;
const kinds = Object.keys(names) as readonly (keyof Amount)[];

export function createUsage(): Usage {
  const teams = new Map<TeamId, Amount>();
  const counted = new Map<string, { readonly team: TeamId; readonly amount: Partial<Amount> }>();

  function add(team: TeamId, amount: Partial<Amount>, sign: 1 | -1): void {
    const before = teams.get(team) ?? none;
    const after = sumOf(before, amount, sign);
    if (kinds.every((kind) => after[kind] === 0)) teams.delete(team);
    else teams.set(team, after);
  }

  return {
    of: (team) => teams.get(team) ?? none,
    reserve(team, amount) {
      check(team, teams.get(team.id) ?? none, amount);
      add(team.id, amount, 1);
      let isReleased = false;
      return {
        [Symbol.dispose]() {
          if (!isReleased) add(team.id, amount, -1);
          isReleased = true;
        },
      };
    },
    changed(id, sandbox) {
      const was = counted.get(id);
      if (was !== undefined) add(was.team, was.amount, -1);
      counted.delete(id);
      if (sandbox === undefined || !isRunning(sandbox)) return;
      const is = { team: sandbox.team, amount: amountOf(sandbox) };
      counted.set(id, is);
      add(is.team, is.amount, 1);
    },
  };
}

/** One that its node may still be running counts until it is known to be gone. */
export function isRunning({ state }: Pick<SandboxOutline, "state">): boolean {
  return state.status === "running" || state.status === "pausing" || state.status === "resuming";
}

export function amountOf({ cpus, memoryBytes }: Pick<SandboxOutline, "cpus" | "memoryBytes">, count = 1) {
  return { sandboxes: count, cpus: cpus * count, memoryBytes: memoryBytes * count };
}

function sumOf(a: Amount, b: Partial<Amount>, sign: 1 | -1): Amount {
  // A share of a cpu is no exact number: 0.1 and 0.2 are not 0.3 until they are rounded.
  const sum = (kind: keyof Amount) => Math.round((a[kind] + sign * (b[kind] ?? 0)) * 1e6) / 1e6;
  return {
    sandboxes: sum("sandboxes"),
    cpus: sum("cpus"),
    memoryBytes: sum("memoryBytes"),
    forksInFlight: sum("forksInFlight"),
  };
}

function check({ name, limits }: Team, used: Amount, more: Partial<Amount>): void {
  for (const kind of kinds) {
    const [limit, asked] = [limits[kind], more[kind] ?? 0];
    if (limit === undefined || asked === 0 || sumOf(used, more, 1)[kind] <= limit) continue;
    throw new DomainError(
      "resource_exhausted",
      `team ${name} may have ${limit} ${names[kind]}; it has ${used[kind]}, and ${asked} more were asked for`,
      { hint: "end or pause some, or have the limit raised" },
    );
  }
}
