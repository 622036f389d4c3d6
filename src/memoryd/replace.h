// Anonymous memory in the place of a memory file's. In this order: reset, plan while a call is looked at;
// then seize before the answer, and run after it. One notification at a time.
#ifndef RAMET_MEMORYD_REPLACE_H
#define RAMET_MEMORYD_REPLACE_H

#include "memoryd.h"

void replace_reset(void);
bool replace_any(void);
// False if the range is so small that zeros are faster, or there are too many.
bool replace_plan(uint64_t start, uint64_t end, unsigned protection);
// False when another process traces the thread: then zeros have to do.
bool replace_seize(const struct notif *n);
bool replace_by_zeros(const struct notif *n, int listener);
void replace_run(const struct notif *n, bool answered, int result);

#endif
