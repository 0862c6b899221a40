/*
** cli.c - reading the command line.
*/
#include "cli.h"

#include <stdio.h>
#include <string.h>

static const char USAGE[] = "usage: %s [options] [script [args]]\n";

static const char OPTIONS[] =
  "  -e stat   run the chunk 'stat'; 'aq' is the module in it; may be repeated\n"
  "  -v        show the versions of aqlua, Lua and libuv\n"
  "  --help    show this and end\n"
  "  -         run standard input as the script (also when there is none and no option)\n"
  "  --        stop reading options\n"
  "The script is a task: it can wait. When it ends, the tasks that it left are cancelled.\n";

static void refuse(struct cli *cli, const char *what, const char *option) {
  cli->bad = what;
  cli->bad_option = option;
}

/* Reads the option at `i`; returns how many arguments it takes up. */
static int read_option(struct cli *cli, int i) {
  const char *option = cli->argv[i];
  if (strcmp(option, "--help") == 0) {
    cli->wants_help = true;
  } else if (strcmp(option, "-v") == 0) {
    cli->wants_version = true;
  } else if (option[1] == 'e') {
    cli->has_chunks = true;
    if (option[2] != '\0') return 1;
    if (i + 1 >= cli->argc) refuse(cli, "needs an argument", option);
    return 2;
  } else {
    refuse(cli, "unrecognized option", option);
  }
  return 1;
}

struct cli cli_parse(int argc, char **argv) {
  struct cli cli = {.program = argc > 0 ? argv[0] : "aqlua", .argv = argv, .argc = argc};
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

const char *cli_next_chunk(const struct cli *cli, int *i) {
  while (*i < cli->script) {
    const char *option = cli->argv[(*i)++];
    if (option[0] != '-' || option[1] != 'e') continue;
    return option[2] != '\0' ? option + 2 : cli->argv[(*i)++];
  }
  return NULL;
}

void cli_complain(const struct cli *cli) {
  fprintf(stderr, "%s: '%s' %s\n", cli->program, cli->bad_option, cli->bad);
  fprintf(stderr, USAGE, cli->program);
  fputs(OPTIONS, stderr);
}

void cli_help(const struct cli *cli) {
  printf(USAGE, cli->program);
  fputs(OPTIONS, stdout);
}
