/*
 * A process with memory of every kind, for tests of dumps: it writes patterns, forks a child that shares them, starts
 * threads, and waits. After SIGUSR1 both look whether everything is as it was, use it, and write "ok" or what is wrong
 * to <result>.<role>. After SIGUSR2 the parent forks once more, and both write to some of what they share. With "guarded" they expect that a listener answers for the kernel. Usage: memory RESULT [guarded]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define MIB (1024UL * 1024)

static const char *result;
static char wrong[200];

static void expect(int holds, const char *what)
{
	if (!holds && wrong[0] == 0)
		snprintf(wrong, sizeof(wrong), "%s", what);
}

static void fill(unsigned char *at, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i += 8) {
		seed = seed * 6364136223846793005UL + 1442695040888963407UL;
		memcpy(at + i, &seed, 8);
	}
}

static int filled(const unsigned char *at, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i += 8) {
		seed = seed * 6364136223846793005UL + 1442695040888963407UL;
		if (memcmp(at + i, &seed, 8) != 0)
			return 0;
	}
	return 1;
}

static int zeros(const unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i] != 0)
			return 0;
	return 1;
}

static unsigned char *map(size_t bytes, int prot)
{
	void *at = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

/* Mappings apart from their neighbours, so that each is one of its own. */
static unsigned char *apart(size_t bytes)
{
	unsigned char *at = map(bytes + 2 * PAGE, PROT_NONE);

	if (mprotect(at + PAGE, bytes, PROT_READ | PROT_WRITE) != 0)
		abort();
	return at + PAGE;
}

static unsigned char *holes, *pieces, *heap, *advised, *hidden, *shared, *small;
static sigset_t go;

/* A dump interrupts the wait, which leaves its trace in errno: it is there before already. */
static int wait_to_go(void)
{
	int number;

	errno = EINTR;
	sigwait(&go, &number);
	return number;
}

/* Pages written before the fork, by the child after it, and by the parent after it. */
static void fork_again(void)
{
	fill(advised, MIB, 20);
	if (fork() != 0) {
		fill(advised + 3 * MIB, MIB, 22);
		return;
	}
	fill(advised + MIB / 2, MIB, 21);
	for (;;)
		wait_to_go();
}

/* A listener, which somebody else has by then. */
static void close_others(void)
{
	for (int fd = 3; fd < 16; fd++)
		close(fd);
}

static void *thread(void *argument)
{
	unsigned char local[32 * PAGE];

	fill(local, sizeof(local), (uint64_t)(uintptr_t)argument);
	wait_to_go();
	expect(filled(local, sizeof(local), (uint64_t)(uintptr_t)argument), "a thread's stack");
	return NULL;
}

static void report(const char *role)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s.%s.new", result, role);
	file = fopen(path, "w");
	if (file == NULL)
		abort();
	fputs(wrong[0] == 0 ? "ok" : wrong, file);
	fclose(file);
	char final[300];
	snprintf(final, sizeof(final), "%s.%s", result, role);
	rename(path, final);
}

static void use(int child)
{
	unsigned char *more, *moved;

	for (size_t page = 0; page < 512; page++) {
		unsigned char *at = holes + page * PAGE;
		expect(page % 3 == 0 ? filled(at, PAGE, page) : zeros(at, PAGE), "a mapping with holes");
	}
	expect(filled(pieces, MIB, 1), "a mapping in pieces: the part to read");
	expect(filled(pieces + 2 * MIB, MIB, 1), "a mapping in pieces: the part to write");
	mprotect(pieces + MIB, MIB, PROT_READ | PROT_WRITE);
	expect(filled(pieces + MIB, MIB, 2), "a mapping in pieces: the hidden part");
	expect(filled(heap, MIB, 3), "the heap");
	expect(filled(advised, 4 * MIB, 4), "a mapping with advice");
	mprotect(hidden, MIB, PROT_READ | PROT_WRITE);
	expect(filled(hidden, MIB, 5), "a hidden mapping");
	expect(filled(small, 4 * PAGE, 6), "a small mapping");
	expect(filled(shared, MIB, child ? 8 : 7), "memory shared by a fork: what was written since");
	expect(filled(shared + MIB, MIB, 7), "memory shared by a fork");

	more = sbrk(MIB);
	expect(more != (void *)-1 && zeros(more, MIB), "more heap");
	fill(holes, 2 * MIB, 9);
	expect(filled(holes, 2 * MIB, 9), "memory written to");
	moved = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(zeros(moved, 8 * MIB), "a new mapping");
	expect(munmap(moved, 8 * MIB) == 0, "unmapping");
}

/* What an anonymous mapping may do and a file's may not is answered by a listener, in its own way. */
static void use_guarded(void)
{
	expect(madvise(shared, PAGE, MADV_DONTNEED) == -1 && errno == EUCLEAN, "dropping pages");
	expect(mremap(small, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EUCLEAN, "growing");
	expect(mremap(small, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE) == small, "not growing");
	expect(mremap(small, 4 * PAGE, 2 * PAGE, 0) == small, "shrinking");
	expect(madvise(shared, PAGE, MADV_NORMAL) == 0, "other advice");
}

static void prepare(void)
{
	holes = apart(2 * MIB);
	for (size_t page = 0; page < 512; page += 3)
		fill(holes + page * PAGE, PAGE, page);
	pieces = apart(3 * MIB);
	fill(pieces, MIB, 1);
	fill(pieces + MIB, MIB, 2);
	fill(pieces + 2 * MIB, MIB, 1);
	mprotect(pieces, MIB, PROT_READ);
	mprotect(pieces + MIB, MIB, PROT_NONE);
	heap = sbrk(MIB + PAGE);
	heap += (PAGE - (uintptr_t)heap % PAGE) % PAGE;
	fill(heap, MIB, 3);
	advised = apart(4 * MIB);
	madvise(advised, 2 * MIB, MADV_HUGEPAGE);
	madvise(advised + 2 * MIB, 2 * MIB, MADV_DONTDUMP);
	fill(advised, 4 * MIB, 4);
	hidden = apart(MIB);
	fill(hidden, MIB, 5);
	mprotect(hidden, MIB, PROT_NONE);
	small = apart(4 * PAGE);
	fill(small, 4 * PAGE, 6);
	shared = apart(2 * MIB);
	fill(shared, MIB, 7);
	fill(shared + MIB, MIB, 7);
	/* Only an anonymous mapping can be wiped. */
	unsigned char *wiped = apart(MIB);
	fill(wiped, MIB, 10);
	madvise(wiped, MIB, MADV_WIPEONFORK);
}

int main(int argc, char **argv)
{
	pthread_t threads[2];
	pid_t child;

	if (argc < 2)
		return 2;
	result = argv[1];
	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	sigaddset(&go, SIGUSR2);
	sigaddset(&go, SIGHUP);
	sigprocmask(SIG_BLOCK, &go, NULL);
	prepare();
	child = fork();
	if (child == 0)
		fill(shared, MIB, 8);
	for (uintptr_t i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, thread, (void *)(100 + i)) != 0)
			abort();
	report(child == 0 ? "child-ready" : "parent-ready");
	for (int number; (number = wait_to_go()) != SIGUSR1;)
		number == SIGHUP ? close_others() : fork_again();
	use(child == 0);
	if (argc > 2)
		use_guarded();
	for (uintptr_t i = 0; i < 2; i++)
		pthread_kill(threads[i], SIGUSR1);
	for (uintptr_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	report(child == 0 ? "child" : "parent");
	if (child != 0)
		waitpid(child, NULL, 0);
	return 0;
}
