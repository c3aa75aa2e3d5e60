/* Checks for tests: a test is a function without arguments; main runs them and reports. */
#ifndef BT_TEST_SUPPORT_H
#define BT_TEST_SUPPORT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bt_test_failures;
static int bt_tests_passed;
static int bt_tests_failed;

/* Counts a failed condition and prints it with the formatted values; the test goes on. */
#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            bt_test_failures++;                                                                    \
            printf("    %s:%d: %s: ", __FILE__, __LINE__, #condition);                             \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

#define RUN(test)                                                                                  \
    do {                                                                                           \
        bt_test_failures = 0;                                                                      \
        test();                                                                                    \
        printf("%s %s\n", bt_test_failures == 0 ? "ok    " : "FAILED", #test);                     \
        bt_tests_passed += bt_test_failures == 0;                                                  \
        bt_tests_failed += bt_test_failures != 0;                                                  \
    } while (0)

/* Rounds of a test over random cases; a sanitized build, which takes ten times as long, does a part
 * of them, since the plain one does all. */
#if defined(__SANITIZE_ADDRESS__)
#define ROUNDS_OF(count) ((count) / 6)
#else
#define ROUNDS_OF(count) (count)
#endif

/* What main returns where something is missing: a test that did not run is none that passed.
 * requirement: the environment variable that forbids to do without. */
static inline int skip_for(const char *requirement, const char *why) {
    const char *required = getenv(requirement);
    if (required != NULL && strcmp(required, "1") == 0) {
        printf("FAILED: %s, but %s is 1\n0 passed, 1 failed\n", why, requirement);
        return 1;
    }
    printf("skipped: %s\n0 passed, 0 failed, 1 skipped\n", why);
    return 0;
}

static inline int skip(const char *why) { return skip_for("BIOTRAIN_REQUIRE_TOOLS", why); }

/* The last line of main. */
#define REPORT()                                                                                   \
    (printf("%d passed, %d failed\n", bt_tests_passed, bt_tests_failed), bt_tests_failed != 0)

#endif
