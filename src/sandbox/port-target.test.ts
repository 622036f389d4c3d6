import { expect, it } from "vitest";
import { encodeTarget, parseTarget } from "./port-target.js";

it.each([
  { sandbox: "abc", port: 1 },
  { sandbox: "abc", port: 65_535, accessToken: "té\u0000k", host: "a:1" },
])("is read as it was written: %j", (target) => {
  expect(parseTarget(encodeTarget(target))).toEqual(target);
  expect(encodeTarget(target)).toMatch(/^[\w-]+$/);
});

const text = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

it.each([undefined, "", "!", text(null), text([]), text({ port: 1 }), ["a", "b"]])("is none: %j", (given) => {
  expect(parseTarget(given)).toBeUndefined();
});

it.each([0, 65_536, 1.5, "80", null])("has no port %j", (port) => {
  expect(parseTarget(text({ sandbox: "abc", port }))).toBeUndefined();
});
