/*
 * Allocates, lets the collector give it back and allocates again: whatever a new buffer has must be zeros, and what is
 * kept has to stay. Reads a line from its input for each round, and answers "ok" or what is wrong.
 */
const sizes = [100, 5000, 20_000, 70_000, 300_000, 1 << 20];
const pattern = Buffer.alloc(Math.max(...sizes));
let wrong;

const consistsOf = ({ buffer, byteOffset, length }, value) =>
  Buffer.from(buffer, byteOffset, length).equals(pattern.fill(value, 0, length).subarray(0, length));

function filled(bytes, index) {
  if (!consistsOf(bytes, 0)) wrong ??= `a new buffer of ${bytes.length} bytes is not zeros`;
  return bytes.fill((index % 255) + 1);
}

/** Of the three kinds of memory that there are for bytes, and objects on the heap. */
function make(count) {
  return Array.from({ length: count }, (_, index) => {
    const size = sizes[index % sizes.length];
    const bytes = [Buffer.alloc(size), new Uint8Array(new ArrayBuffer(size)), new Uint8Array(size)];
    return {
      index,
      text: `number ${index}`,
      list: [index, index + 1],
      bytes: filled(bytes[index % 3], index),
    };
  });
}

function check({ index, text, list, bytes }) {
  const isRight =
    text === `number ${index}` &&
    list[0] === index &&
    list[1] === index + 1 &&
    bytes.length === sizes[index % sizes.length];
  if (!isRight || !consistsOf(bytes, (index % 255) + 1)) wrong ??= `what is kept has changed: ${index}`;
}

const kept = make(60);
let passing = [];

function churn() {
  for (let turn = 0; turn < 3; turn++) {
    passing.forEach(check);
    passing = [];
    globalThis.gc();
    passing = make(120);
    Array.from({ length: 20_000 }, (_, index) => ({ index, text: `waste ${index}` }));
    globalThis.gc();
  }
  kept.forEach(check);
  process.stdout.write(`${wrong ?? "ok"}\n`);
}

churn();
require("node:readline").createInterface({ input: process.stdin }).on("line", churn);
