/** Capabilities inside a sandbox's user namespace: they reach nothing that the namespace does not own. */

// Bit numbers of linux/capability.h.
const bits = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_DAC_READ_SEARCH: 2,
  CAP_FOWNER: 3,
  CAP_FSETID: 4,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_NET_BIND_SERVICE: 10,
  CAP_SYS_CHROOT: 18,
  CAP_SYS_ADMIN: 21,
  CAP_SETFCAP: 31,
} as const;

export type Capability = keyof typeof bits;

/** What root among the user's processes has. */
export const childCapabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_SETFCAP",
] as const satisfies readonly Capability[];

/** What PID 1 has besides: the host name is set by SYS_ADMIN of the namespace. */
export const guestCapabilities: readonly Capability[] = [
  ...childCapabilities,
  "CAP_DAC_READ_SEARCH",
  "CAP_SYS_ADMIN",
];

/** As the guest's `--child-caps` takes it, in hexadecimal. */
export const childCapsMask = childCapabilities
  .reduce((mask, name) => mask | (1n << BigInt(bits[name])), 0n)
  .toString(16);
