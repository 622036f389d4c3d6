/** How many of a number of slots each node gets. Pure. */

export interface Place {
  /** Its share is in proportion to this; above 0. */
  readonly weight: number;
  /** What it has now. */
  readonly has: number;
  /** What it has room for. */
  readonly max: number;
}

/** Part of all slots that may move in one step, so that a node that joins does not make the others end theirs at once. */
const movedShare = 0.01;

/**
 * Keeps what is where it is as far as that goes. More goes to those that have the least for their weight, less comes
 * from those that have the most; and what is uneven by more than one is evened out little by little.
 */
export function spread(places: readonly Place[], total: number): number[] {
  const has = places.map((place) => Math.min(place.has, place.max));
  const sum = sumOf(has);
  if (sum > total)
    return fill(
      places.map(({ weight }, index) => ({ weight, from: 0, upTo: has[index] ?? 0 })),
      total,
    );
  const raised =
    sum === total
      ? has
      : fill(
          places.map(({ weight, max }, index) => ({ weight, from: has[index] ?? 0, upTo: max })),
          total,
        );
  return isUneven(places, raised) ? even(places, raised) : raised;
}

export interface Vessel {
  readonly weight: number;
  readonly from: number;
  readonly upTo: number;
}

/** Raises all to one level, in proportion to their weights, each at least to `from` and at most to `upTo`. */
export function fill(vessels: readonly Vessel[], total: number): number[] {
  const at = (level: number, { weight, from, upTo }: Vessel) =>
    Math.max(from, Math.min(upTo, Math.floor(level * weight)));
  const totalAt = (level: number) => vessels.reduce((sum, vessel) => sum + at(level, vessel), 0);
  // Beyond it nothing rises any more.
  let high = vessels.reduce((most, { weight, upTo }) => Math.max(most, (upTo + 1) / weight), 0);
  let low = totalAt(high) <= total ? high : 0;
  // Between the two no vessel gets more than one in the end: that is for the order below.
  const width = 1 / vessels.reduce((most, { weight }) => Math.max(most, weight), 0);
  for (let step = 0; step < 64 && high - low > width; step++) {
    const middle = (low + high) / 2;
    if (totalAt(middle) <= total) low = middle;
    else high = middle;
  }
  const filled = vessels.map((vessel) => at(low, vessel));
  let rest = total - sumOf(filled);
  const next = vessels
    .map(({ weight, upTo }, index) => ({ index, upTo, level: ((filled[index] ?? 0) + 1) / weight }))
    .filter(({ index, upTo }) => (filled[index] ?? 0) < upTo)
    .sort((a, b) => a.level - b.level || a.index - b.index);
  for (const { index } of next) {
    if (rest-- <= 0) break;
    filled[index] = (filled[index] ?? 0) + 1;
  }
  return filled;
}

function isUneven(places: readonly Place[], counts: readonly number[]): boolean {
  const levels = (by: number, filter: (count: number, index: number) => boolean) =>
    places.flatMap(({ weight }, index) => {
      const count = counts[index] ?? 0;
      return filter(count, index) ? [(count + by) / weight] : [];
    });
  const highest = levels(-1, (count) => count > 0).reduce((most, level) => Math.max(most, level), 0);
  const lowest = levels(1, (count, index) => count < (places[index]?.max ?? 0)).reduce(
    (least, level) => Math.min(least, level),
    Number.POSITIVE_INFINITY,
  );
  return highest > lowest;
}

function even(places: readonly Place[], counts: readonly number[]): number[] {
  const total = sumOf(counts);
  const fair = fill(
    places.map(({ weight, max }) => ({ weight, from: 0, upTo: max })),
    total,
  );
  const above = counts.map((count, index) => Math.max(0, count - (fair[index] ?? 0)));
  const below = counts.map((count, index) => Math.max(0, (fair[index] ?? 0) - count));
  const moved = Math.min(sumOf(above), sumOf(below), Math.max(1, Math.floor(total * movedShare)));
  const [given, taken] = [firstOf(above, moved), firstOf(below, moved)];
  return counts.map((count, index) => count - (given[index] ?? 0) + (taken[index] ?? 0));
}

/** As much of them as makes the total. */
function firstOf(amounts: readonly number[], total: number): number[] {
  let rest = total;
  return amounts.map((amount) => {
    const part = Math.min(amount, rest);
    rest -= part;
    return part;
  });
}

const sumOf = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0);
