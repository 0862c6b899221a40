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
  int script;               /* index in argv of the script; argc: none */
  bool is_after_dashes;     /* the script came after "--": its name is meant as it is */
  bool has_chunks;          /* some -e was given */
  bool wants_version;       /* -v */
  bool wants_help;          /* --help */
  bool wants_prompt;        /* -i */
  bool ignores_environment; /* -E */
  bool warns;               /* some -W was given */
  bool allows_bytecode;     /* --allow-bytecode */
  const char *bad;          /* what is wrong with the command line, with one %s for the option */
  const char *bad_option;   /* the option that is meant */
};

/* Options that are carried out one after the other. */
enum cli_kind { CLI_END, CLI_CHUNK, CLI_LIBRARY, CLI_WARN };

struct cli_action {
  enum cli_kind kind;
  const char *text; /* the argument of -e or -l */
};

/* One line for each option; made from the man page. */
extern const char cli_usage[];

/* Reads the arguments. Nothing is printed; see `bad`. */
struct cli cli_parse(int argc, char **argv);

/* The next option to carry out: `*i` runs from 1, and is moved behind it. CLI_END: no more. */
struct cli_action cli_next(const struct cli *cli, int *i);

/* One line on what is wrong, and the usage, on standard error. */
void cli_complain(const struct cli *cli);

/* The usage on standard output. */
void cli_help(const struct cli *cli);

#endif
