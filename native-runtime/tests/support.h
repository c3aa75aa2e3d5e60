/* Checks for tests: a test is a function without arguments; main runs them and reports. */
#ifndef BT_TEST_SUPPORT_H
#define BT_TEST_SUPPORT_H

#include <stdio.h>

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

/* The last line of main. */
#define REPORT()                                                                                   \
    (printf("%d passed, %d failed\n", bt_tests_passed, bt_tests_failed), bt_tests_failed != 0)

#endif
