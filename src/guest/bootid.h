// Of the guest's binary on the host: a boot id of a sandbox's own.
#ifndef RAMET_BOOTID_H
#define RAMET_BOOTID_H

// Exit code.
int bootid_main(long pid);

#endif
