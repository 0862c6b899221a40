/*
** chance.h - random numbers that are the same for the same seed on every machine (splitmix64).
*/
#ifndef AQ_CHANCE_H
#define AQ_CHANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static inline uint64_t chance_next(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* A number from 0 to n - 1. */
static inline unsigned chance_below(uint64_t *state, unsigned n) {
  return (unsigned)(chance_next(state) >> 33) % n;
}

/* The number in the environment variable `name`, or `otherwise`. */
static inline uint64_t chance_env(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

#endif
