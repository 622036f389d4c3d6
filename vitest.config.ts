import { defineConfig } from "vitest/config";

// Starting a process for each file would take most of the time.
const together = { isolate: false };
const real = { ...together, fileParallelism: false, testTimeout: 120_000, hookTimeout: 180_000 };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{src,bench}/**/*.test.ts"],
          exclude: ["bench/build/**", "**/node_modules/**"],
          ...together,
        },
      },
      { test: { name: "tidy", include: ["test/tidy/**/*.test.ts"] } },
      { test: { name: "integration", include: ["test/integration/**/*.test.ts"], ...real } },
      { test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], ...real } },
    ],
  },
});
