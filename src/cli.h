/*
** cli.h - the command line: what it asks for.
*/
#ifndef AQ_CLI_H
#define AQ_CLI_H

#include <stdbool.h>

struct cli {
  const char *program; /* argv[0], for messages */
  char **argv;
  int argc;
  int script;             /* index in argv of the script; argc: none */
  bool is_after_dashes;   /* the script came after "--": its name is meant as it is */
  bool has_chunks;        /* some -e was given */
  bool wants_version;     /* -v */
  bool wants_help;        /* --help */
  const char *bad;        /* what is wrong with the command line, or NULL */
  const char *bad_option; /* the option that is meant */
};

/* Reads the arguments. Nothing is printed; see `bad`. */
struct cli cli_parse(int argc, char **argv);

/*
** The text of the next -e option: `*i` runs from 1, and is moved behind it. NULL: no more.
*/
const char *cli_next_chunk(const struct cli *cli, int *i);

/* One line on what is wrong, and the usage, on standard error. */
void cli_complain(const struct cli *cli);

/* The usage on standard output. */
void cli_help(const struct cli *cli);

#endif
