import { describe, expect, it } from "vitest";
import { seeded } from "../lib/random.js";
import { type Place, spread } from "./spread.js";

const standing = (places: readonly Place[], counts: readonly number[]): Place[] =>
  places.map((place, index) => ({ ...place, has: counts[index] ?? 0 }));
const levelOf = (count: number, by: number, weight: number): number => (count + by) / weight;
const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

describe("spread", () => {
  const random = seeded(11);
  const below = (limit: number) => Math.floor(random() * limit);
  const cases = Array.from({ length: 300 }, () => {
    const places = Array.from({ length: 1 + below(12) }, (): Place => {
      return { weight: 1 + below(64), has: below(20), max: below(25) };
    });
    return { places, total: below(250) };
  });

  it("places all that there is room for, and nothing where there is none", () => {
    for (const { places, total } of cases) {
      const counts = spread(places, total);
      expect(sum(counts)).toBe(Math.min(total, sum(places.map(({ max }) => max))));
      for (const [index, count] of counts.entries()) {
        expect(count).toBeGreaterThanOrEqual(0);
        expect(count).toBeLessThanOrEqual(places[index]?.max ?? 0);
      }
    }
  });

  it("comes to rest, as even as weights and room let it be", () => {
    for (const { places, total } of cases) {
      let counts = spread(places, total);
      for (let step = 0; step < 300; step++) counts = spread(standing(places, counts), total);
      expect(spread(standing(places, counts), total)).toEqual(counts);
      const givers = places.flatMap(({ weight }, index) => levelOf(counts[index] ?? 0, -1, weight));
      const takers = places.flatMap(({ weight, max }, index) =>
        (counts[index] ?? 0) < max ? levelOf(counts[index] ?? 0, 1, weight) : [],
      );
      expect(Math.max(0, ...givers)).toBeLessThanOrEqual(Math.min(1e9, ...takers));
    }
  });

  it("takes nothing away where more is wanted, and gives nothing where less is", () => {
    for (const { places } of cases) {
      const even = spread(places, 40);
      const [more, less] = [41, 39].map((total) => spread(standing(places, even), total));
      // One moves at most to even out what is uneven still.
      const [lost, won] = [more, less].map((counts) =>
        (counts ?? []).map((count, index) => count - (even[index] ?? 0)),
      );
      expect(sum((lost ?? []).map((by) => Math.max(0, -by)))).toBeLessThanOrEqual(1);
      expect(sum((won ?? []).map((by) => Math.max(0, by)))).toBeLessThanOrEqual(1);
    }
  });
});
