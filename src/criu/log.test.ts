import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DomainError } from "../lib/errors.js";
import { criuErrors, dumpError, restoreError } from "./log.js";

const sample = (name: string) => readFileSync(new URL(`testdata/${name}.txt`, import.meta.url), "utf8");
const runc = new Error("runc did not terminate successfully: criu failed: type NOTIFY errno 0");

describe("a failed dump is explained for", () => {
  it.each([
    ["io_uring", "dump-iouring", /uses io_uring/],
    ["a unix socket to the outside", "dump-extunix", /unix socket is connected to a process outside/],
    ["a deleted open file", "dump-ghost", /\/home\/user\/gf is deleted, still open, and with 3002368 bytes/],
    ["a file without its name", "dump-unlinked", /\/home\/user\/h1 is open under a name that is gone/],
    ["a TCP connection", "dump-tcp", /TCP connection is open/],
    ["an inotify watch", "dump-inotify", /inotify or fanotify watch/],
    ["an unknown kind of file", "dump-userfault", /cannot be dumped: anon anon_inode:\[userfaultfd\]$/],
    ["an unknown kind of socket", "dump-vsock", /address family 40/],
    ["a file on no mount", "dump-memfdsecret", /\/secretmem \(deleted\) is open/],
    ["a mount made later", "dump-mount", /mount \.\/mnt\/inner was not there/],
    ["a lock", "dump-lock", /file lock/],
    ["an interactive dash", "dump-ctty", /has \/dev\/tty open/],
    ["a debugger", "dump-traced", /process 20142 is traced/],
  ])("%s", (_name, file, message) => {
    const error = dumpError("s1", sample(file), runc);
    expect(error.message).toMatch(/^cannot dump sandbox s1: /);
    expect(error.message).toMatch(message);
    expect(error).toMatchObject({ code: "failed_precondition", cause: runc });
    expect(error.hint).not.toBe("");
  });

  it("a full disk, as what it is", () => {
    expect(dumpError("s1", sample("dump-nospc"), runc)).toMatchObject({
      code: "resource_exhausted",
      message: "cannot dump sandbox s1: the disk is full",
    });
  });
});

describe("a failed restore is explained for", () => {
  it.each([
    ["a changed file", "restore-fsize", /\/home\/user\/data.txt is not the file that it was/],
    ["a missing file", "restore-missing", /\/home\/user\/data2.txt was open .* is not there/],
    ["a pid that is taken", "restore-pid", /pid 28495 is taken/],
    ["an address that is taken", "restore-lsn", /address back: Address already in use/],
    ["an image without its magic", "restore-magic", /damaged: inventory.img/],
    ["an image that does not parse", "restore-unpack", /damaged: core-30488.img/],
  ])("%s", (_name, file, message) => {
    const error = restoreError("s2", sample(file), runc);
    expect(error.message).toMatch(/^cannot restore sandbox s2: /);
    expect(error.message).toMatch(message);
    expect(error.code).toBe("failed_precondition");
  });

  it("the memory limit, when nothing else was said", () => {
    const log = "(00.1) Error (criu/cr-restore.c:1269): 77 killed by signal 9: Killed\n";
    expect(restoreError("s2", log, runc)).toMatchObject({ code: "resource_exhausted" });
  });
});

describe("what is not known", () => {
  it("is told by the last errors that are no mere consequences", () => {
    const log = [
      "(00.01) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted",
      "(00.02) Error (criu/x.c:1): first \u001b[31mthing",
      "(00.03) Error (criu/cr-dump.c:1975): Dumping FAILED.",
    ].join("\n");
    expect(dumpError("s1", log, runc).message).toBe("cannot dump sandbox s1: CRIU: first  [31mthing");
  });

  it("is told by runc when there is no log", () => {
    expect(restoreError("s1", "", runc)).toMatchObject({
      code: "internal",
      message: `cannot restore sandbox s1: ${runc.message}`,
    });
  });

  it("stays an abort or a deadline", () => {
    const late = new DomainError("deadline_exceeded", "no answer in 60 s");
    expect(dumpError("s1", "", late)).toMatchObject({ code: "deadline_exceeded" });
  });
});

it("errors are read with their prefixes and without the harmless one", () => {
  expect(criuErrors(sample("dump-iouring"))[0]).toBe("send_fds failed (-22)");
  expect(criuErrors(sample("restore-fsize"))[0]).toBe("File home/user/data.txt has bad size 5 (expect 100)");
});
