/** Paths of files that somebody else named: any bytes but NUL and the slash, which a string may not be able to hold. */
const slash = Buffer.from("/");

export const childOf = (directory: Buffer, name: Buffer): Buffer => Buffer.concat([directory, slash, name]);
