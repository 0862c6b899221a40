/*
** pages.c - small blocks from pages of one size each.
**
** What holds between two calls:
**
**   - a page in use has a size; its blocks are used, on its list `free`, or beyond `fresh` and never
**     handed out yet; used + on the list + never handed out = capacity
**   - a page with a block to be had is in its size's list `room`, any other page in use is_full
**   - a page with no block used is in no list of a size, unless it is the first there: it is `warm`
**     (memory kept), `cold` (memory given back to the system) or has not been taken yet
**
** The pages' descriptions are apart from the pages, in an array of their own: at the head of each
** page they would all fall into the same lines of the processor's cache.
*/
#include "pages.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

enum {
  PAGE_BITS = 16,
  PAGE_BYTES = 1 << PAGE_BITS, /* bytes of a page */
  GRAIN = 16,                  /* sizes are multiples of this */
  SIZES = PAGES_LARGEST / GRAIN,
  FIRST = 1 << 20,    /* bytes asked for before there are pages: a program that needs no more starts
                      ** quicker without, as each size of block would touch memory of its own */
  CARVED = 4096,      /* bytes made into blocks at a time: what is not needed is not touched */
  KEPT = 16,          /* pages kept warm beside as many as are in use: what the collector frees in a
                      ** cycle is needed again in the next; */
  BATCH = 256,        /* and up to so many more, which go back to the system together */
  COMMITTED = 16,     /* pages made usable at a time */
  GROWING = 4,        /* pages of a size from which on the next is asked for as a whole */
  LEAST_PAGES = 1024, /* fewer are not worth it */
};

struct block {
  struct block *next;
};

struct page {
  struct block *free; /* blocks given back, or carved and not handed out yet */
  struct page *next;  /* in the list of its size, or of warm or cold ones */
  struct page *prev;  /* in the list of its size */
  uint32_t used;      /* blocks handed out */
  uint32_t fresh;     /* offset of what was not carved yet */
  uint16_t size;      /* bytes of a block */
  bool is_full;       /* in use, and in no list */
};

struct pages {
  char *base;               /* of page 0 */
  size_t bytes;             /* of all pages together */
  struct page *room[SIZES]; /* pages with blocks to be had, by size; &none: no more */
  uint32_t count[SIZES];    /* pages in use, by size */
  struct page none;         /* ends each of these lists; never has a block */
  struct page *warm, *cold; /* pages not in use */
  size_t nused, nwarm;      /* pages in use; pages kept */
  size_t asked;             /* bytes asked for while there were no pages yet */
  size_t ntaken;            /* pages that have ever been used: the next is number ntaken */
  size_t ncommitted;        /* pages that may be used: the rest of the addresses is only reserved */
  struct page *page;        /* what is known of each: at the start of what is reserved */
  size_t reserved;          /* bytes of that, descriptions and pages; 0: nothing is */
};

/* ---- reserving ------------------------------------------------------------------------------- */

static size_t pages_of_memory(void) {
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || size <= 0) return LEAST_PAGES;
  return (size_t)pages * (size_t)size / PAGE_BYTES;
}

/* A limit on addresses is meant for what is used: there, none are reserved. */
static bool is_limited(void) {
#ifdef RLIMIT_AS
  struct rlimit limit;
  return getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY;
#else
  return true;
#endif
}

/* The descriptions first, then, at a multiple of its size, the first page. */
static bool reserve(struct pages *p, size_t npages) {
  size_t head = npages * sizeof(struct page);
  size_t reserved = head + (npages + 1) * PAGE_BYTES;
  void *block = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) return false;
  if (mprotect(block, head, PROT_READ | PROT_WRITE) != 0) {
    munmap(block, reserved);
    return false;
  }
  p->page = block;
  p->reserved = reserved;
  p->base = (char *)(((uintptr_t)block + head + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1));
  p->bytes = npages * PAGE_BYTES;
  return true;
}

/* As many addresses as there is memory; fewer if they are not granted, or none. */
static void reserve_most(struct pages *p) {
  if (is_limited()) return;
  for (size_t n = pages_of_memory(); n >= LEAST_PAGES; n /= 4)
    if (reserve(p, n)) return;
}

struct pages *pages_new(void) {
  struct pages *p = calloc(1, sizeof *p);
  if (p == NULL) return NULL;
  for (size_t i = 0; i < SIZES; i++) p->room[i] = &p->none;
  return p;
}

void pages_free(struct pages *p) {
  if (p != NULL && p->reserved > 0) munmap(p->page, p->reserved);
  free(p);
}

size_t pages_used(const struct pages *p) { return p->nused * PAGE_BYTES; }

size_t pages_kept(const struct pages *p) { return p->nwarm * PAGE_BYTES; }

/* ---- pages ----------------------------------------------------------------------------------- */

static char *start_of(struct pages *p, const struct page *page) {
  return p->base + (size_t)(page - p->page) * PAGE_BYTES;
}

/* True for a block that came from a page. */
static inline bool is_ours(const struct pages *p, const void *block) {
  return p != NULL && (uintptr_t)block - (uintptr_t)p->base < p->bytes;
}

static inline struct page *page_of(struct pages *p, const void *block) {
  return &p->page[((uintptr_t)block - (uintptr_t)p->base) >> PAGE_BITS];
}

/* Asks for a page's memory at once: that is many times cheaper than a fault for each part of it. */
static void populate(char *start) {
#ifdef MADV_POPULATE_WRITE
  (void)madvise(start, PAGE_BYTES, MADV_POPULATE_WRITE); /* if refused, faults will do it */
#else
  (void)start;
#endif
}

static struct page *pop(struct page **list) {
  struct page *page = *list;
  if (page != NULL) *list = page->next;
  return page;
}

static void push(struct page **list, struct page *page) {
  page->next = *list;
  *list = page;
}

/* The next page that was never used, or NULL. */
static struct page *next_page(struct pages *p) {
  if (p->ntaken == p->bytes / PAGE_BYTES) return NULL;
  if (p->ntaken == p->ncommitted) {
    char *start = p->base + p->ncommitted * PAGE_BYTES;
    size_t n = p->bytes / PAGE_BYTES - p->ncommitted;
    if (n > COMMITTED) n = COMMITTED;
    if (mprotect(start, n * PAGE_BYTES, PROT_READ | PROT_WRITE) != 0) return NULL;
    p->ncommitted += n;
  }
  return &p->page[p->ntaken++];
}

/* A page that is not in use, or NULL. `grows`: its memory will soon be needed in full. */
static struct page *take_page(struct pages *p, bool grows) {
  struct page *page = pop(&p->warm);
  if (page != NULL) {
    p->nwarm--;
    return page;
  }
  page = pop(&p->cold);
  if (page == NULL) page = next_page(p);
  if (page != NULL && grows) populate(start_of(p, page));
  return page;
}

/* Puts the page behind the first of its size, which goes on serving. */
static void enlist(struct pages *p, size_t size, struct page *page) {
  struct page *first = p->room[size];
  page->is_full = false;
  if (first == &p->none) {
    page->prev = NULL;
    page->next = first;
    p->room[size] = page;
    return;
  }
  page->prev = first;
  page->next = first->next;
  page->next->prev = page;
  first->next = page;
}

/* A new page for blocks of this size, first in its list, which is empty. */
static struct page *new_page(struct pages *p, size_t size) {
  struct page *page = take_page(p, p->count[size] >= GROWING);
  if (page == NULL) return NULL;
  *page = (struct page){.size = (uint16_t)((size + 1) * GRAIN)};
  p->count[size]++;
  p->nused++;
  enlist(p, size, page);
  return page;
}

static int by_address(const void *a, const void *b) {
  const struct page *const *p = a, *const *q = b;
  return (*p > *q) - (*p < *q);
}

/* The memory of `n` warm pages goes back to the system: of neighbours at once, since what a call
** costs hardly depends on how much it gives back. */
static void cool(struct pages *p, struct page **batch, size_t n) {
  qsort(batch, n, sizeof *batch, by_address);
  for (size_t i = 0, end; i < n; i = end) {
    for (end = i + 1; end < n && batch[end] == batch[end - 1] + 1; end++) continue;
    (void)madvise(start_of(p, batch[i]), (end - i) * PAGE_BYTES, MADV_DONTNEED);
    for (size_t j = i; j < end; j++) push(&p->cold, batch[j]);
  }
}

/* More pages are kept than shall be: the surplus goes, a batch at a time. */
static void cool_surplus(struct pages *p) {
  struct page *batch[BATCH];
  size_t n = 0;
  if (p->nwarm < KEPT + p->nused + BATCH) return;
  while (n < BATCH) batch[n++] = pop(&p->warm);
  p->nwarm -= BATCH;
  cool(p, batch, n);
}

/* A page, not the first of its list, none of whose blocks is used. */
static void give_back(struct pages *p, struct page *page) {
  page->prev->next = page->next;
  page->next->prev = page->prev;
  p->count[page->size / GRAIN - 1]--;
  p->nused--;
  push(&p->warm, page);
  p->nwarm++;
  cool_surplus(p);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* Makes the next part of the page into blocks; false if all of it has been. */
static bool carve(struct pages *p, struct page *page) {
  char *start = start_of(p, page);
  struct block **end = &page->free;
  uint32_t offset = page->fresh, limit = offset + CARVED;
  for (; offset + page->size <= PAGE_BYTES && offset < limit; offset += page->size) {
    struct block *b = (struct block *)(void *)(start + offset);
    *end = b;
    end = &b->next;
  }
  *end = NULL;
  page->fresh = offset;
  return page->free != NULL;
}

/* The addresses are reserved when it no longer is. */
static bool is_too_early(struct pages *p, size_t bytes) {
  if (p->asked >= FIRST) return false;
  p->asked += bytes;
  if (p->asked >= FIRST) reserve_most(p);
  return true;
}

/* The first page of this size has no block on its list: sees to it that one has. NULL: there is no
** memory, or it is too early for pages. */
static struct page *refill(struct pages *p, size_t size) {
  struct page *page = p->room[size];
  if (is_too_early(p, (size + 1) * GRAIN)) return NULL;
  while (page != &p->none && page->free == NULL && !carve(p, page)) {
    page->is_full = true;
    page = p->room[size] = page->next;
    page->prev = NULL;
  }
  if (page != &p->none) return page;
  page = new_page(p, size);
  if (page != NULL) carve(p, page);
  return page;
}

static inline void *take_block(struct pages *p, size_t bytes) {
  size_t size = (bytes - 1) / GRAIN;
  struct page *page = p->room[size];
  if (page->free == NULL) {
    page = refill(p, size);
    if (page == NULL) return malloc(bytes);
  }
  struct block *b = page->free;
  page->free = b->next;
  page->used++;
  return b;
}

static inline void free_block(struct pages *p, void *block) {
  struct page *page = page_of(p, block);
  struct block *b = block;
  b->next = page->free;
  page->free = b;
  page->used--;
  if (page->is_full)
    enlist(p, page->size / GRAIN - 1, page);
  else if (page->used == 0 && page->prev != NULL)
    give_back(p, page);
}

/* ---- the allocator --------------------------------------------------------------------------- */

static void *new_block(struct pages *p, size_t bytes) {
  return p != NULL && bytes <= PAGES_LARGEST ? take_block(p, bytes) : malloc(bytes);
}

static void drop(struct pages *p, void *block) {
  if (is_ours(p, block))
    free_block(p, block);
  else
    free(block);
}

/* A block that shrank where it is may grow again there. */
static bool has_room(struct pages *p, const void *block, size_t bytes) {
  return is_ours(p, block) && bytes <= page_of(p, block)->size;
}

/* Moves a block to one of another kind or size. One that shrinks stays where it is if need be: Lua
** relies on that never failing. */
static void *move(struct pages *p, void *block, size_t old_size, size_t new_size) {
  void *other = new_block(p, new_size);
  if (other == NULL) return new_size <= old_size || has_room(p, block, new_size) ? block : NULL;
  memcpy(other, block, old_size < new_size ? old_size : new_size);
  drop(p, block);
  return other;
}

static bool fits(struct pages *p, const void *block, size_t bytes) {
  size_t size = page_of(p, block)->size;
  return bytes <= size && size - bytes < GRAIN;
}

void *pages_alloc(void *ud, void *block, size_t old_size, size_t new_size) {
  struct pages *p = ud;
  if (new_size == 0) {
    drop(p, block);
    return NULL;
  }
  if (block == NULL) return new_block(p, new_size);
  if (is_ours(p, block))
    return fits(p, block, new_size) ? block : move(p, block, old_size, new_size);
  if (p == NULL || new_size > PAGES_LARGEST) return realloc(block, new_size);
  return move(p, block, old_size, new_size);
}
