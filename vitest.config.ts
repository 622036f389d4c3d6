import { defineConfig } from "vitest/config";

// Starting a process for each file would take most of the time.
const together = { isolate: false };
/** Speed is not what is tested: a machine may be slow, and only what hangs is to end here. */
const patient = { testTimeout: 60_000, hookTimeout: 60_000 };
const real = { ...together, fileParallelism: false, testTimeout: 120_000, hookTimeout: 180_000 };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{src,bench,examples}/**/*.test.ts"],
          exclude: ["{bench,examples}/**/build/**", "**/node_modules/**"],
          ...together,
          ...patient,
        },
      },
      { test: { name: "tidy", include: ["test/tidy/**/*.test.ts"], ...patient } },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          exclude: ["test/integration/{e2b,envd,registry,interpreter}/**", "**/node_modules/**"],
          ...real,
        },
      },
      { test: { name: "edges", include: ["test/integration/{e2b,envd,registry}/**/*.test.ts"], ...real } },
      { test: { name: "interpreter", include: ["test/integration/interpreter/*.test.ts"], ...real } },
      { test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], ...real } },
    ],
  },
});
