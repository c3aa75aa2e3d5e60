/*
 * The GAP9 firmware on a PMSIS made of threads: the same bits as sim:, and what happens when
 * something breaks. See gap9_link.h for how the test reaches it; test_session runs on it too.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "device_suite.h"
#include "gap9_link.h"
#include "hal/gap9/gap9.h"

static bt_link *open_link(uint32_t workers) { return gap9_link_open(BT_GAP9_THREADS, workers); }

static void the_start_is_reported(void) {
    bt_program *program = epidenet_program();
    bt_device *device = open_device(8, 0);
    gap9_link *gap9 = (gap9_link *)device->link;
    bt_gap9_report report;
    uint64_t published;
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    require(train(session, 1, 8), "bt_session_train");
    bt_statistics statistics = {.struct_size = sizeof statistics};
    require(bt_session_statistics(session, &statistics), "bt_session_statistics");
    CHECK(statistics.cycles > 0 && statistics.micro_steps == 8, "%llu cycles in %llu micro-steps",
          (unsigned long long)statistics.cycles, (unsigned long long)statistics.micro_steps);
    require(gap9_read(device->link, gap9->status_address, &report, sizeof report), "report");
    CHECK(report.stage == BT_GAP9_SERVING && report.error == 0, "stage %u, error %d", report.stage,
          report.error);
    CHECK(report.clock_error == 0 && report.fc_hz == 370000000u && report.cluster_hz == 370000000u,
          "error %d, %u and %u Hz", report.clock_error, report.fc_hz, report.cluster_hz);
    CHECK(report.workers == 8, "%u workers", report.workers);
    for (uint32_t i = 0; i < BT_GAP9_MAX_WORKERS; i++) {
        CHECK(report.worker_stack[i] == PMSIS_THREADS_FRAME_BYTES, "worker %u used %u bytes", i,
              report.worker_stack[i]);
    }
    require(gap9_read(device->link, gap9->debug_address, &published, sizeof published), "pointer");
    CHECK(published == device->link->mailbox_address, "published 0x%llx, mailbox 0x%x",
          (unsigned long long)published, device->link->mailbox_address);
    CHECK(device->info.l1_bytes == BT_GAP9_L1_ARENA_BYTES &&
              device->info.l2_bytes == BT_GAP9_L2_ARENA_BYTES &&
              device->info.l3_bytes == BT_GAP9_L3_BYTES,
          "arenas of %u, %u and %u bytes", device->info.l1_bytes, device->info.l2_bytes,
          device->info.l3_bytes);
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
}

/* As a host without a mailbox to talk to reads it. */
static void a_start_that_fails_says_where(void) {
    bt_gap9_report report;
    bt_link *link = open_link(8);
    gap9_link *gap9 = (gap9_link *)link;
    gap9->ram_bytes = 1u << 20;
    require(gap9_start(link), "gap9_start");
    do {
        usleep(1000);
        require(gap9_read(link, gap9->status_address, &report, sizeof report), "report");
    } while (report.error == 0 && report.stage != BT_GAP9_SERVING);
    CHECK(report.stage == BT_GAP9_RAM && report.error == -1, "stage %u, error %d", report.stage,
          report.error);
    link->operations->close(link);
}

static void the_largest_network_gives_the_bits_of_sim(void) {
    bt_model *model = mi_bminet(32, 128, 1);
    bt_training_options options = options_default();
    bt_program *program = compile(model, &options, "gap9");
    check_same("MI-BMINet F1=32", program, 8, 2, 1);
    bt_program_free(program);
    bt_model_free(model);
}

/* Signals the device's process in the middle of a command, and says how the command ended. */
static bt_status train_and_signal(int signal, uint32_t timeout_ms) {
    bt_program *program = epidenet_program();
    bt_device *device = open_device(8, timeout_ms);
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    killer k = {((gap9_link *)device->link)->process, signal};
    pthread_t thread;
    pthread_create(&thread, NULL, kill_later, &k);
    bt_status status = train(session, 5000, 8);
    pthread_join(thread, NULL);
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
    return status;
}

static void a_device_that_ends_ends_the_step_with_an_error(void) {
    bt_status status = train_and_signal(SIGKILL, 0);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "process has ended") != NULL ||
              strstr(bt_error_message(0), "did not give") != NULL,
          "%s", bt_error_message(0));
}

static void a_device_that_stalls_runs_into_the_deadline(void) {
    bt_status status = train_and_signal(SIGSTOP, 1000);
    CHECK(status == BT_ERROR_TIMEOUT, "%s", bt_status_name(status));
    CHECK(strstr(bt_error_message(0), "last reported state") != NULL, "%s", bt_error_message(0));
}

int main(void) {
    RUN(the_start_is_reported);
    RUN(a_start_that_fails_says_where);
    RUN(every_scheme_gives_the_bits_of_sim);
    RUN(every_optimizer_gives_the_bits_of_sim);
    RUN(a_larger_network_gives_the_bits_of_sim);
    RUN(the_largest_network_gives_the_bits_of_sim);
    RUN(fused_updates_give_the_bits_of_sim);
    RUN(cached_features_give_the_bits_of_sim);
    RUN(a_device_that_ends_ends_the_step_with_an_error);
    RUN(a_device_that_stalls_runs_into_the_deadline);
    RUN(a_long_command_can_be_aborted);
    RUN(another_host_takes_over_a_busy_device);
    RUN(a_restarted_firmware_is_noticed);
    RUN(flipped_bits_are_noticed);
    RUN(flipped_bits_in_the_mailbox_do_no_harm);
    RUN(the_firmware_refuses_a_damaged_program);
    RUN(a_firmware_of_another_protocol_is_refused);
    return REPORT();
}
