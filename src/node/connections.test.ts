import { createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { countersShow, hasConnections, tableShows } from "./connections.js";

const heading =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const line = (state: string) =>
  `   0: 0100007F:1B58 0100007F:BC3E ${state} 00000000:00000000 00:00000000 00000000     0        0 47 1 0 20\n`;

describe("connections", () => {
  it.each([
    ["nobody's", "", false],
    ["listening", line("0A"), false],
    ["closed and waiting", line("06"), false],
    ["established", line("0A") + line("01"), true],
    ["half closed", line("08"), true],
    ["being opened", line("02"), true],
  ])("%s", (_, lines, shows) => {
    expect(tableShows(heading + lines)).toBe(shows);
  });

  it.each([
    ["no sockets", 0, [0, 0], false],
    ["an established one", 2, [3, 0], true],
    ["listeners, or half closed ones", 0, [1, 0], undefined],
    ["the same in IPv6", 0, [0, 1], undefined],
  ] as const)("counters of %s", (_, established, [v4, v6], shows) => {
    const counters = `Ip: Forwarding\nIp: 1\nTcp: MaxConn CurrEstab InSegs\nTcp: -1 ${established} 31311
sockets: used 14\nTCP: inuse ${v4} orphan 0 tw 0\nUDP: inuse 2 mem 0\nTCP6: inuse ${v6}\n`;
    expect(countersShow(counters)).toBe(shows);
  });

  it("cannot be told from counters that are not there", () => {
    expect(countersShow("")).toBeUndefined();
  });

  it("are seen in a process's network, past processes that have ended", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { connect } = await import("node:net");
    const { port } = server.address() as { port: number };
    const client = await new Promise<Socket>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(socket));
    });
    expect(await hasConnections([4_194_305, process.pid])).toBe(true);
    client.destroy();
    server.close();
    expect(await hasConnections([4_194_305])).toBe(false);
  });
});
