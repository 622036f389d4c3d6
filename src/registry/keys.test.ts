import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Team } from "../fleet/team.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import { openSqliteStore } from "../registry-store/sqlite/open-sqlite-store.js";
import { type Keys, openKeys } from "./keys.js";
import { openTeams, type Teams } from "./teams.js";

const now = new Date("2026-01-02T03:04:05.678Z");

let store: RegistryStore;
/** Lookups of keys by their hash since the last test began. */
let lookups: number;
let keys: Keys;
let teams: Teams;
let acme: Team;

beforeEach(async () => {
  store = await openSqliteStore(":memory:");
  lookups = 0;
  const counted: RegistryStore["keys"] = {
    ...store.keys,
    findByHash(hash) {
      lookups += 1;
      return store.keys.findByHash(hash);
    },
  };
  keys = openKeys({ store: { teams: store.teams, keys: counted }, now: () => now, rememberedMax: 3 });
  teams = openTeams({ store, keys, now: () => now });
  acme = await teams.create("acme", { sandboxes: 3 });
});
afterEach(() => store[Symbol.asyncDispose]());

const refused = { code: "unauthenticated" };

describe("teams", () => {
  it("are made, and found by name and by id", async () => {
    expect(acme).toMatchObject({ name: "acme", limits: { sandboxes: 3 }, createdAt: now });
    expect(await teams.find("acme")).toEqual(acme);
    expect(await teams.find(acme.id)).toEqual(acme);
    expect(await teams.list()).toEqual([acme]);
    await expect(teams.find("x")).rejects.toMatchObject({ code: "not_found" });
    await expect(teams.find("x".repeat(20))).rejects.toMatchObject({ code: "not_found" });
  });

  it("have names that fit, once each", async () => {
    for (const name of ["", "A", "a b", "-a", "a".repeat(64)])
      await expect(teams.create(name, {}), name).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(teams.create("acme", {})).rejects.toMatchObject({ code: "already_exists" });
    expect(await teams.ensure("acme")).toEqual(acme);
    expect(await teams.ensure("default")).toEqual(await teams.find("default"));
  });

  it("keep the limits that are not named, also when two are changed at once", async () => {
    await Promise.all([
      teams.limit("acme", { cpus: 0.5 }),
      teams.limit("acme", { memoryBytes: 7 }),
      teams.limit(acme.id, { sandboxes: null }),
    ]);
    expect((await teams.find("acme")).limits).toEqual({ cpus: 0.5, memoryBytes: 7 });
    await expect(teams.limit("x", {})).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("keys", () => {
  it("are shown once, and kept as a hash and a mask", async () => {
    const { key, record } = await keys.create(acme, "laptop");
    expect(key).toMatch(/^e2b_[0-9a-f]{40}$/);
    expect(record).toMatchObject({ team: acme.id, name: "laptop", createdAt: now });
    expect(record.mask).toBe(`${key.slice(0, 6)}…${key.slice(-4)}`);
    expect(await keys.list(acme)).toEqual([record]);
    expect(JSON.stringify(await keys.list(acme))).not.toContain(key.slice(6, -4));
  });

  it("tell whose a request is, and are looked up once", async () => {
    const { key } = await keys.create(acme, "");
    for (let times = 0; times < 3; times++) expect(await keys.authenticate(key)).toEqual(acme);
    expect(lookups).toBe(1);
  });

  it.each([
    undefined,
    "",
    "x",
    `e2b_${"0".repeat(39)}`,
    `E2B_${"0".repeat(40)}`,
    `e2b_${"G".repeat(40)}`,
    "e2b_".repeat(100_000),
  ])("that cannot be one are refused without a look: %#", async (header) => {
    await expect(keys.authenticate(header)).rejects.toMatchObject(refused);
    expect(lookups).toBe(0);
  });

  it("that nobody has cost one lookup each, and none of them is remembered", async () => {
    const { key } = await keys.create(acme, "");
    await keys.authenticate(key);
    for (let n = 0; n < 10; n++)
      await expect(keys.authenticate(`e2b_${String(n).repeat(40)}`)).rejects.toMatchObject(refused);
    expect(lookups).toBe(11);
    await keys.authenticate(key);
    expect(lookups).toBe(11);
  });

  it("sent twice in one request are none", async () => {
    const { key } = await keys.create(acme, "");
    await expect(keys.authenticate([key, key])).rejects.toMatchObject(refused);
  });

  it("are refused from the moment that they are revoked", async () => {
    const { key, record } = await keys.create(acme, "");
    const { key: other } = await keys.create(acme, "");
    await keys.authenticate(key);
    expect(await keys.revoke(acme, record.id)).toEqual({ ...record, revokedAt: now });
    await expect(keys.authenticate(key)).rejects.toMatchObject(refused);
    expect(await keys.authenticate(other)).toEqual(acme);
  });

  it("are not remembered by a look that began before they were revoked", async () => {
    const { key, record } = await keys.create(acme, "");
    const [early] = await Promise.allSettled([keys.authenticate(key), keys.revoke(acme, record.id)]);
    expect(early.status).toBe("fulfilled");
    await expect(keys.authenticate(key)).rejects.toMatchObject(refused);
  });

  it("are revoked by their team alone", async () => {
    const { record, key } = await keys.create(acme, "");
    const other = await teams.create("other", {});
    for (const id of [record.id, "x", "' OR 1"])
      await expect(keys.revoke(other, id), id).rejects.toMatchObject({ code: "not_found" });
    expect(await keys.authenticate(key)).toEqual(acme);
  });

  it("bring new limits of their team at once", async () => {
    const { key } = await keys.create(acme, "");
    await keys.authenticate(key);
    await teams.limit("acme", { sandboxes: 9 });
    expect((await keys.authenticate(key)).limits).toEqual({ sandboxes: 9 });
  });

  it("of more than are remembered work all the same", async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => keys.create(acme, "")));
    for (const { key } of [...made, ...made]) expect(await keys.authenticate(key)).toEqual(acme);
    expect(lookups).toBeGreaterThan(8);
  });
});
