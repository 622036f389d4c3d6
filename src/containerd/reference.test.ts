import { expect, test } from "vitest";
import { completeReference, parseImageName } from "./reference.js";

test.each([
  ["debian", "docker.io/library/debian:latest"],
  ["debian:12", "docker.io/library/debian:12"],
  ["e2b/base", "docker.io/e2b/base:latest"],
  ["localhost/x", "localhost/x:latest"],
  ["localhost:5000/x:1", "localhost:5000/x:1"],
  ["127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest"],
  [`ghcr.io/o/i@sha256:${"a".repeat(64)}`, `ghcr.io/o/i@sha256:${"a".repeat(64)}`],
  ["my_image--x.y:v1.0-rc_1", "docker.io/library/my_image--x.y:v1.0-rc_1"],
])("completes %s to %s", (name, complete) => {
  expect(completeReference(name)).toBe(complete);
});

test.each([
  "",
  " ",
  "-x",
  "a b",
  "a\0b",
  "é",
  "x".repeat(257),
  "../../etc",
  "a-../x",
  "a//b",
  "a:",
  "a/.",
  "a:b:c/d",
])("refuses the name %j", (name) => {
  expect(() => parseImageName(name)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
});
