/*
** pages.h - the memory of the program's Lua state.
**
** A program with many tasks asks for small blocks of a few sizes, again and again, from one thread.
** That is served here from pages: each holds blocks of one size, side by side and without headers.
** So a block is had and given back in a few instructions, blocks of a kind are close to each other,
** memory is asked of the system a page at a time, and a page none of whose blocks is used any more
** serves another size, or goes back to the system. What is larger than PAGES_LARGEST is the C
** library's business, and so is what a program asks for that does not ask for much.
**
**     reserved addresses:  | page 0: 64 | page 1: 720 | page 2: 64 | page 3: unused | ... never touched
**
** A state has pages of its own; nothing here is shared between threads.
*/
#ifndef AQ_PAGES_H
#define AQ_PAGES_H

#include <stddef.h>

enum { PAGES_LARGEST = 1024 }; /* bytes of the largest block that comes from a page */

struct pages;

/* No page yet, and no addresses for them. NULL: no memory. Pass it to pages_alloc all the same: then
** all is the C library's, as where the system does not grant the addresses. */
struct pages *pages_new(void);

/* Gives all pages back to the system: after lua_close. NULL is allowed. */
void pages_free(struct pages *p);

/* A lua_Alloc; `ud` is a struct pages or NULL. NULL when there is no memory, with nothing changed. */
void *pages_alloc(void *ud, void *block, size_t old_size, size_t new_size);

/* Bytes of the pages in use, and of those kept for the next use. */
size_t pages_used(const struct pages *p);
size_t pages_kept(const struct pages *p);

#endif
