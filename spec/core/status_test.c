/*
** status_test.c - each outcome has a sentence of its own.
*/
#include "check.h"
#include "core/status.h"

TEST(each_status_has_its_own_text) {
  for (int a = AQ_OK; a <= AQ_ERROR; a++) {
    CHECK(strcmp(aq_status_text((enum aq_status)a), "unknown status") != 0);
    for (int b = AQ_OK; b < a; b++)
      CHECK(strcmp(aq_status_text((enum aq_status)a), aq_status_text((enum aq_status)b)) != 0);
  }
}

TEST(a_number_that_is_no_status_has_a_text_too) {
  CHECK_STR(aq_status_text((enum aq_status)(AQ_ERROR + 1)), "unknown status");
}

TEST(ok_is_zero) { CHECK_EQ(AQ_OK, 0); }
