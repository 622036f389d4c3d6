// The loopback hook: what the guest's binary does on the host, before there is a guest.
#ifndef RAMET_LOOPBACK_H
#define RAMET_LOOPBACK_H

// Reads a container's state from standard input. 0: its loopback is up.
int loopback_main(void);

#endif
