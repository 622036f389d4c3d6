/*
 * Threads that allocate, give back and allocate again, each in turn with what it holds: whatever calloc gives has to be
 * zeros, and what is kept has to stay. Reads a line from its input for each round, and answers "ok" or what is wrong.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define KEPT 64
#define PASSING 96
#define LARGEST (512UL * 1024)

struct block {
	unsigned char *bytes;
	size_t size;
	unsigned char value;
};

struct worker {
	struct block kept[KEPT], passing[PASSING];
	unsigned seed;
	pthread_t thread;
};

static struct worker workers[THREADS];
static pthread_barrier_t begin, end;
static char wrong[200];

/* Every byte is looked at. */
static int consists_of(const struct block *block, unsigned char value)
{
	for (size_t i = 0; i < block->size; i++)
		if (block->bytes[i] != value) {
			snprintf(wrong, sizeof(wrong), "byte %zu of %zu is %u, not %u", i, block->size,
				 block->bytes[i], value);
			return 0;
		}
	return 1;
}

/* Mostly pages, some of them large enough for mappings of their own. */
static size_t any_size(struct worker *worker)
{
	unsigned kind = (unsigned)rand_r(&worker->seed) % 8;
	size_t most = kind == 0 ? LARGEST : kind < 6 ? 64 * 1024 : 600;

	return 1 + (size_t)rand_r(&worker->seed) % most;
}

static void make(struct worker *worker, struct block *block)
{
	block->size = any_size(worker);
	block->bytes = calloc(1, block->size);
	block->value = (unsigned char)(1 + rand_r(&worker->seed) % 255);
	if (block->bytes == NULL)
		abort();
	consists_of(block, 0);
	memset(block->bytes, block->value, block->size);
}

static void let_go(struct block *block)
{
	if (block->bytes != NULL)
		consists_of(block, block->value);
	free(block->bytes);
	block->bytes = NULL;
}

/* The new part of a larger one has to be what is written there, and the old part what it was. */
static void grow(struct worker *worker, struct block *block)
{
	size_t before = block->size;

	block->size += any_size(worker);
	block->bytes = realloc(block->bytes, block->size);
	if (block->bytes == NULL)
		abort();
	memset(block->bytes + before, block->value, block->size - before);
	consists_of(block, block->value);
}

static void churn(struct worker *worker)
{
	/* What was allocated before a checkpoint is given back after it, and comes again. */
	for (int turn = 0; turn < 4; turn++) {
		for (int i = 0; i < PASSING; i++)
			let_go(&worker->passing[i]);
		malloc_trim(0);
		for (int i = 0; i < PASSING; i++)
			make(worker, &worker->passing[i]);
		for (int i = 0; i < 8; i++)
			grow(worker, &worker->passing[rand_r(&worker->seed) % PASSING]);
	}
	for (int i = 0; i < KEPT; i++)
		consists_of(&worker->kept[i], worker->kept[i].value);
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (int i = 0; i < KEPT; i++)
		make(worker, &worker->kept[i]);
	for (;;) {
		churn(worker);
		pthread_barrier_wait(&end);
		pthread_barrier_wait(&begin);
	}
	return NULL;
}

int main(void)
{
	char line[100];

	pthread_barrier_init(&begin, NULL, THREADS + 1);
	pthread_barrier_init(&end, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++) {
		workers[i].seed = (unsigned)i + 1;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			abort();
	}
	do {
		pthread_barrier_wait(&end);
		puts(wrong[0] == 0 ? "ok" : wrong);
		fflush(stdout);
		if (fgets(line, sizeof(line), stdin) == NULL)
			return 0;
		pthread_barrier_wait(&begin);
	} while (1);
}
