/* Learning rates. Computed in double on the host only; the device receives the float. */
#include <math.h>

#include "train/options.h"

static double scheduled(const bt_training_options *options, double step, double total) {
    const double pi = 3.14159265358979323846;
    double rate = options->learning_rate;
    switch (options->schedule) {
    case BT_SCHEDULE_COSINE: {
        double minimum = options->minimum_rate;
        return minimum + (rate - minimum) * 0.5 * (1.0 + cos(pi * step / total));
    }
    case BT_SCHEDULE_STEP:
        return rate * pow(options->decay, floor(step / options->decay_steps));
    default:
        return rate;
    }
}

bt_status bt_learning_rate(const bt_training_options *options, uint64_t step, uint64_t total_steps,
                           float *out) {
    BT_REQUIRE(out);
    BT_TRY(bt_options_check(options));
    if (step >= total_steps) {
        BT_FAIL(BT_ERROR_ARGUMENT,
                "Step %llu is outside the %llu steps of the run, counted from 0.",
                (unsigned long long)step, (unsigned long long)total_steps);
    }
    uint64_t warmup = options->warmup_steps;
    if (step < warmup) {
        *out = (float)(options->learning_rate * ((double)step / (double)warmup));
    } else {
        *out = (float)scheduled(options, (double)(step - warmup), (double)(total_steps - warmup));
    }
    return BT_OK;
}
