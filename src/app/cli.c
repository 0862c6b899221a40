/*
** cli.c - reading the command line: the stock interpreter's options, and a few of our own.
*/
#include "cli.h"

#include <stdio.h>
#include <string.h>

static const char USAGE[] = "usage: %s [options] [script [args]]\n";

static const char UNKNOWN[] = "unrecognized option '%s'";

static void refuse(struct cli *cli, const char *what, const char *option) {
  cli->bad = what;
  cli->bad_option = option;
}

/* The field that an option without an argument sets, or NULL. */
static bool *switch_for(struct cli *cli, const char *option) {
  if (strcmp(option, "-v") == 0) return &cli->wants_version;
  if (strcmp(option, "-i") == 0) return &cli->wants_prompt;
  if (strcmp(option, "-E") == 0) return &cli->ignores_environment;
  if (strcmp(option, "--help") == 0) return &cli->wants_help;
  if (strcmp(option, "--allow-bytecode") == 0) return &cli->allows_bytecode;
  return NULL;
}

/* Reads the option at `i`; returns how many arguments it takes up. */
static int read_option(struct cli *cli, int i) {
  const char *option = cli->argv[i];
  bool *is_given = switch_for(cli, option);
  if (is_given != NULL) {
    *is_given = true;
  } else if (option[1] == 'e' || option[1] == 'l') {
    if (option[1] == 'e') cli->has_chunks = true;
    if (option[2] != '\0') return 1;
    if (i + 1 >= cli->argc || cli->argv[i + 1][0] == '-')
      refuse(cli, "'%s' needs argument", option);
    return 2;
  } else if (strcmp(option, "-W") == 0) {
    cli->warns = true;
  } else {
    refuse(cli, UNKNOWN, option);
  }
  return 1;
}

struct cli cli_parse(int argc, char **argv) {
  struct cli cli = {
    .program = argc > 0 && argv[0][0] != '\0' ? argv[0] : "aqlua", .argv = argv, .argc = argc};
  int i = 1;
  while (i < argc && argv[i][0] == '-' && argv[i][1] != '\0' && cli.bad == NULL) {
    if (strcmp(argv[i], "--") == 0) {
      cli.is_after_dashes = true;
      i++;
      break;
    }
    i += read_option(&cli, i);
  }
  cli.script = i < argc ? i : argc;
  return cli;
}

struct cli_action cli_next(const struct cli *cli, int *i) {
  while (*i < cli->script) {
    const char *option = cli->argv[(*i)++];
    if (option[0] != '-') continue;
    if (option[1] == 'W') return (struct cli_action){CLI_WARN, NULL};
    if (option[1] != 'e' && option[1] != 'l') continue;
    const char *text = option[2] != '\0' ? option + 2 : cli->argv[(*i)++];
    return (struct cli_action){option[1] == 'e' ? CLI_CHUNK : CLI_LIBRARY, text};
  }
  return (struct cli_action){CLI_END, NULL};
}

void cli_complain(const struct cli *cli) {
  fprintf(stderr, "%s: ", cli->program);
  fprintf(stderr, cli->bad, cli->bad_option);
  fputc('\n', stderr);
  fprintf(stderr, USAGE, cli->program);
  fputs(cli_usage, stderr);
}

void cli_help(const struct cli *cli) {
  printf(USAGE, cli->program);
  fputs(cli_usage, stdout);
  fputs("The script is a task: it can wait. More: man aqlua\n", stdout);
}
