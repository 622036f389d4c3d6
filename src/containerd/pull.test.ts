import { expect, test } from "vitest";
import { DomainError } from "../lib/errors.js";
import { blameRegistry, sumProgress } from "./pull.js";

test("adds up blobs, whatever order they report in", () => {
  const sum = sumProgress();
  const event = (name: string, doneBytes: number, totalBytes: number) => ({
    event: "downloading",
    name,
    doneBytes,
    totalBytes,
  });
  expect(sum(event("index", 0, 0))).toEqual({ phase: "receiving", doneBytes: 0, totalBytes: 0 });
  expect(sum(event("a", 5, 10))).toEqual({ phase: "receiving", doneBytes: 5, totalBytes: 10 });
  expect(sum(event("b", 1, 4))).toEqual({ phase: "receiving", doneBytes: 6, totalBytes: 14 });
  expect(sum(event("a", 10, 10))).toEqual({ phase: "receiving", doneBytes: 11, totalBytes: 14 });
  expect(sum(event("b", 4, 4))).toEqual({ phase: "unpacking", doneBytes: 14, totalBytes: 14 });
});

test.each([
  [
    "unexpected status from HEAD request to http://r/v2/x/manifests/1: 401 Unauthorized",
    "failed_precondition",
  ],
  ["pull access denied, repository does not exist or may require authorization", "failed_precondition"],
  ["http: server gave HTTP response to HTTPS client", "failed_precondition"],
  ['Head "https://r/v2/": dial tcp: lookup r: no such host', "unavailable"],
  ["unexpected status from GET request: 503 Service Unavailable", "unavailable"],
  ["unmarshal image config: unexpected end of JSON input", "internal"],
])("%s is %s", (message, code) => {
  expect(blameRegistry(new DomainError("internal", message))).toMatchObject({ code, message });
});
