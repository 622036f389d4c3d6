/**
 * The host's side of a sandbox's guest, PID 1 inside (docs/guest-protocol.md). Nothing that comes from a guest is
 * trusted: lengths and waits are bounded, unknown frames refused, its socket opened without following links.
 * Every promise rejects with a DomainError; `guestErrorOf` tells the guest's own code.
 */
import type { GuestAddress } from "./call.js";
import * as control from "./control.js";
import { dial } from "./dial.js";
import * as streams from "./file-streams.js";
import * as files from "./files.js";
import { sendInput } from "./input.js";
import * as processes from "./processes.js";
import { attachProcess, spawnProcess, startProcess } from "./spawn.js";
import * as xattrs from "./xattrs.js";

/** Every operation: connections are opened for each and closed after it, so a client needs no closing. */
export type GuestClient = ReturnType<typeof connectGuest>;

export interface GuestOptions {
  /** `<run>/sandboxes/<id>/guest/guest.sock`. */
  readonly socketPath: string;
  /** Bound of answers that need no work; default 10,000. */
  readonly replyMs?: number;
  /** Bound of an answer, or of its next piece, in work on files; default 60,000. */
  readonly workMs?: number;
}

/** Gives the operations of the guest at a socket. Does not connect yet. */
export function connectGuest(options: GuestOptions) {
  const address: GuestAddress = {
    socketPath: options.socketPath,
    replyMs: options.replyMs ?? 10_000,
    workMs: options.workMs ?? 60_000,
  };
  return {
    info: bind(address, control.guestInfo),
    usage: bind(address, control.guestUsage),
    lookUpUser: bind(address, control.lookUpUser),
    quiesce: bind(address, control.quiesce),
    release: bind(address, control.release),
    setIdentity: bind(address, control.setIdentity),
    shutDown: bind(address, control.shutDown),
    spawn: bind(address, spawnProcess),
    start: bind(address, startProcess),
    attach: bind(address, attachProcess),
    processes: bind(address, processes.listProcesses),
    signal: bind(address, processes.signalProcess),
    resize: bind(address, processes.resizeTerminal),
    writeInput: bind(address, processes.writeInput),
    sendInput: bind(address, sendInput),
    waitForExit: bind(address, processes.waitForExit),
    forget: bind(address, processes.forgetProcess),
    dial: bind(address, dial),
    files: fileOperations(address),
  };
}

function fileOperations(address: GuestAddress) {
  return {
    stat: bind(address, files.stat),
    list: bind(address, streams.listDirectory),
    read: bind(address, streams.readFile),
    write: bind(address, streams.writeFile),
    makeDirectory: bind(address, files.makeDirectory),
    rename: bind(address, files.rename),
    remove: bind(address, files.remove),
    changeMode: bind(address, files.changeMode),
    changeOwner: bind(address, files.changeOwner),
    makeSymlink: bind(address, files.makeSymlink),
    readSymlink: bind(address, files.readSymlink),
    watch: bind(address, streams.watch),
    getXattr: bind(address, xattrs.getXattr),
    setXattr: bind(address, xattrs.setXattr),
    listXattrs: bind(address, xattrs.listXattrs),
    removeXattr: bind(address, xattrs.removeXattr),
  };
}

function bind<A extends readonly unknown[], R>(
  address: GuestAddress,
  operation: (address: GuestAddress, ...rest: A) => R,
): (...rest: A) => R {
  return (...rest) => operation(address, ...rest);
}
