import { expect, it } from "vitest";
import { parseWrk } from "./requests.js";

it("reads what wrk prints, failures too", () => {
  const text = `
  Latency Distribution
     50%  850.00us
     99%    3.05ms
  12000 requests in 3.00s, 1.0MB read
  Socket errors: connect 0, read 2, write 0, timeout 1
  Non-2xx or 3xx responses: 7
Requests/sec:   4000.50
`;
  expect(parseWrk(text)).toEqual({ perSecond: 4000.5, p50Ms: 0.85, p99Ms: 3.05, wrong: 10 });
});
