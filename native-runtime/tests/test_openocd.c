/*
 * The openocd: link over a real OpenOCD and the virtual board: JTAG, debug module and firmware are
 * what a board has. Skips, saying why, where OpenOCD, QEMU or the firmware is missing;
 * BIOTRAIN_REQUIRE_TOOLS=1 forbids that. BIOTRAIN_OPENOCD and BIOTRAIN_OPENOCD_SCRIPT name another
 * OpenOCD and its script, for example of the GAP SDK's generation.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device_run.h"
#include "link/link.h"
#include "session/device.h"
#include "support.h"

#define URI_BYTES 900u
#define SHORT_TIMEOUT_MS 3000u

/* ------------------------------------------------------------------------------------- processes
 */

typedef struct board {
    pid_t process;
    FILE *commands;
    FILE *answers;
    unsigned port;
} board;

static board board_start(void) {
    int inputs[2], outputs[2];
    char line[128];
    board b = {0};
    require(pipe2(inputs, O_CLOEXEC) == 0 && pipe2(outputs, O_CLOEXEC) == 0 ? BT_OK : BT_ERROR_IO,
            "pipes");
    b.process = fork();
    if (b.process == 0) {
        dup2(inputs[0], STDIN_FILENO);
        dup2(outputs[1], STDOUT_FILENO);
        execl(BT_BOARD_TOOL, BT_BOARD_TOOL, "--exit-with-stdin", NULL);
        _exit(127);
    }
    close(inputs[0]);
    close(outputs[1]);
    b.commands = fdopen(inputs[1], "w");
    b.answers = fdopen(outputs[0], "r");
    if (fgets(line, sizeof line, b.answers) == NULL ||
        sscanf(line, "listening on %u", &b.port) != 1) {
        printf("the virtual board did not start\n");
        exit(1);
    }
    return b;
}

static void board_fault(board *b, const char *fault) {
    char line[160];
    fprintf(b->commands, "fault %s\n", fault);
    fflush(b->commands);
    if (fgets(line, sizeof line, b->answers) == NULL || strncmp(line, "ok", 2) != 0) {
        printf("the virtual board refused the fault %s\n", fault);
        exit(1);
    }
}

static void board_stop(board *b) {
    fclose(b->commands);
    waitpid(b->process, NULL, 0);
    fclose(b->answers);
}

static const char *setting(const char *name, const char *normal) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : normal;
}

/* URI that launches an OpenOCD for the board. */
static const char *launch_uri(const board *b, const char *more) {
    static char uri[URI_BYTES];
    snprintf(uri, sizeof uri, "openocd:?binary=%s&script=%s&set=JTAG_PORT:%u&firmware=%s%s",
             setting("BIOTRAIN_OPENOCD", "openocd"),
             setting("BIOTRAIN_OPENOCD_SCRIPT", BT_BOARD_SCRIPT), b->port, BT_BOARD_FIRMWARE, more);
    return uri;
}

/* A network so small that a session on a slow link is short: 2 channels, 12 samples, 3 classes. */
static bt_program *small_program(void) {
    builder b = builder_new(3);
    const int32_t dims[] = {1, 1, 2, 12};
    uint32_t v = add_input(&b, 4, dims);
    v = add_unary(&b, BT_OP_TANH, "tanh", v);
    v = add_flatten(&b, v);
    v = add_linear(&b, "fc", v, 24, 3);
    bt_model *model = finish(&b, v);
    bt_training_options options = options_default();
    bt_program *program = compile(model, &options, "gap9");
    bt_model_free(model);
    return program;
}

/* ----------------------------------------------------------------------------------------- tests
 */

static void a_board_gives_the_bits_of_sim(void) {
    board b = board_start();
    bt_program *program = epidenet_program();
    result expected = run("sim:?cores=1", program, 2, 11, 2);
    result r = run(launch_uri(&b, "&reset=on"), program, 2, 11, 2);
    CHECK(r.state == expected.state, "other weights than sim:");
    CHECK(r.outputs == expected.outputs, "other outputs than sim:");
    CHECK(r.statistics.l2_high_water == expected.statistics.l2_high_water,
          "%u bytes of L2, sim: %u", r.statistics.l2_high_water, expected.statistics.l2_high_water);
    bt_program_free(program);
    board_stop(&b);
}

static int loopback_socket(struct sockaddr_in *address, unsigned port) {
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* A port that nobody listens at. */
static unsigned free_port(void) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int listener = loopback_socket(&address, 0);
    require(bind(listener, (struct sockaddr *)&address, size) == 0 &&
                    getsockname(listener, (struct sockaddr *)&address, &size) == 0
                ? BT_OK
                : BT_ERROR_IO,
            "free port");
    close(listener);
    return ntohs(address.sin_port);
}

static bool listens_within(unsigned port, double limit) {
    struct sockaddr_in address;
    bool connected = false;
    for (double end = seconds() + limit; !connected && seconds() < end; usleep(20000)) {
        int client = loopback_socket(&address, port);
        connected = connect(client, (struct sockaddr *)&address, sizeof address) == 0;
        close(client);
    }
    return connected;
}

/* Options with a firmware whose code differs from the board's in one function. */
static bt_device_options another_firmware(void) {
    static uint8_t bytes[1 << 20];
    FILE *file = fopen(BT_BOARD_FIRMWARE, "rb");
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t i = size / 8; i < size / 4; i++) {
        bytes[i] ^= 0x55;
    }
    return (bt_device_options){
        .struct_size = sizeof(bt_device_options), .firmware = bytes, .firmware_bytes = size};
}

static void a_running_openocd_and_firmware_are_attached_to(void) {
    char port[64], uri[URI_BYTES], bad[URI_BYTES];
    unsigned tcl = free_port();
    board b = board_start();
    bt_program *program = small_program();
    result expected = run("sim:?cores=1", program, 2, 3, 3);
    snprintf(port, sizeof port, "set JTAG_PORT %u; set TCL_PORT %u", b.port, tcl);
    pid_t openocd = fork();
    if (openocd == 0) {
        execlp(setting("BIOTRAIN_OPENOCD", "openocd"), "openocd", "-l", "/dev/null", "-c", port,
               "-f", setting("BIOTRAIN_OPENOCD_SCRIPT", BT_BOARD_SCRIPT), NULL);
        _exit(127);
    }
    CHECK(listens_within(tcl, 20.0), "OpenOCD does not listen at port %u", tcl);
    snprintf(uri, sizeof uri, "openocd:localhost:%u?firmware=%s&reset=on", tcl, BT_BOARD_FIRMWARE);
    snprintf(bad, sizeof bad, "openocd::%u?firmware=%s&start=attach", tcl, BT_BOARD_FIRMWARE);

    bt_device *device;
    bt_status status = bt_device_open(bad, NULL, &device);
    CHECK(status == BT_ERROR_DEVICE && strstr(bt_error_message(0), "start=load") != NULL, "%s: %s",
          bt_status_name(status), bt_error_message(0));

    result loaded = run(uri, program, 2, 3, 3);
    CHECK(loaded.state == expected.state, "loaded: other weights than sim:");
    snprintf(uri, sizeof uri, "openocd:127.0.0.1:%u?firmware=%s&start=attach", tcl,
             BT_BOARD_FIRMWARE);
    result attached = run(uri, program, 2, 3, 3);
    CHECK(attached.state == expected.state, "attached: other weights than sim:");

    snprintf(uri, sizeof uri, "openocd:127.0.0.1:%u?start=attach", tcl);
    bt_device_options other = another_firmware();
    status = bt_device_open(uri, &other, &device);
    CHECK(status == BT_ERROR_DEVICE && strstr(bt_error_message(0), "this firmware") != NULL,
          "%s: %s", bt_status_name(status), bt_error_message(0));

    kill(openocd, SIGTERM);
    waitpid(openocd, NULL, 0);
    bt_program_free(program);
    board_stop(&b);
}

typedef struct exchanges {
    const bt_device *device;
    uint64_t last;
    uint64_t most;
    uint32_t steps;
} exchanges;

static uint32_t count_exchanges(void *user, const bt_step_record *record) {
    exchanges *e = user;
    uint64_t now = e->device->link->exchanges;
    (void)record;
    if (e->steps > 0 && now - e->last > e->most) {
        e->most = now - e->last;
    }
    e->last = now;
    e->steps++;
    return 0;
}

static void a_step_of_eight_samples_takes_at_most_three_exchanges(void) {
    enum { STEPS = 6, BATCH = 8 };
    board b = board_start();
    bt_program *program = epidenet_program();
    bt_device *device = device_open(launch_uri(&b, "&reset=on"), 0);
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    bt_step steps[STEPS];
    uint32_t indices[STEPS * BATCH];
    for (uint32_t i = 0; i < STEPS; i++) {
        steps[i] = (bt_step){.samples = BATCH, .learning_rate = 0.01f};
    }
    for (uint32_t i = 0; i < STEPS * BATCH; i++) {
        indices[i] = i % SAMPLES;
    }
    exchanges e = {.device = device};
    uint64_t before = device->link->exchanges;
    double begun = seconds();
    require(bt_session_train(session, steps, STEPS, indices, count_exchanges, &e),
            "bt_session_train");
    uint64_t all = device->link->exchanges - before;
    printf("       %u steps in %.1f s: %llu exchanges, at most %llu per step\n", STEPS,
           seconds() - begun, (unsigned long long)all, (unsigned long long)e.most);
    CHECK(e.steps == STEPS && e.most <= 3, "%llu exchanges in one step",
          (unsigned long long)e.most);
    CHECK(all <= 3u * STEPS, "%llu exchanges for %u steps", (unsigned long long)all, STEPS);
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
    board_stop(&b);
}

typedef struct messages {
    uint32_t rates;      /* messages with a rate and the time left */
    uint32_t summaries;  /* with the rate of the whole */
    uint32_t connection; /* with the rates measured at start */
} messages;

static void collect_message(void *user, bt_log_level level, const char *text) {
    messages *m = user;
    (void)level;
    m->rates += strncmp(text, "Upload: ", 8) == 0 && strstr(text, " s left.") != NULL;
    m->summaries += strncmp(text, "Upload: ", 8) == 0 && strstr(text, " s left.") == NULL;
    m->connection += strstr(text, "measured ") != NULL;
    if (strncmp(text, "Upload: ", 8) == 0 || strstr(text, "measured ") != NULL) {
        printf("       %s\n", text);
    }
}

/* BIOTRAIN_UPLOAD_WINDOWS=250 for a whole megabyte. */
static void an_upload_reports_its_rate_and_the_time_left(void) {
    const uint32_t windows = (uint32_t)atoi(setting("BIOTRAIN_UPLOAD_WINDOWS", "24"));
    board b = board_start();
    messages m = {0};
    const bt_device_options options = {.struct_size = sizeof options,
                                       .log_level = BT_LOG_INFO,
                                       .log = collect_message,
                                       .log_user = &m};
    bt_program *program = epidenet_program();
    bt_device *device;
    require(bt_device_open(launch_uri(&b, "&reset=on"), &options, &device), "bt_device_open");
    bt_session *session = session_open(device, program);
    float *inputs = malloc((size_t)windows * 2000 * sizeof *inputs);
    int32_t *labels = calloc(windows, sizeof *labels);
    uint32_t first;
    require(bt_random_normal(5, 0, (size_t)windows * 2000, inputs), "bt_random_normal");
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = windows,
                                .format = BT_SAMPLE_INT16,
                                .channels = 2,
                                .inputs = inputs,
                                .labels = labels};
    m = (messages){.connection = m.connection};
    uint64_t exchanges = device->link->exchanges, bytes = device->bytes_to_device;
    require(bt_session_upload(session, &samples, &first), "bt_session_upload");
    exchanges = device->link->exchanges - exchanges;
    uint64_t chunks = (device->bytes_to_device - bytes) / BT_STAGING_BYTES + 1;
    printf("       %llu bytes in %llu exchanges\n",
           (unsigned long long)(device->bytes_to_device - bytes), (unsigned long long)exchanges);
    CHECK(exchanges <= 3 * chunks + 3, "%llu exchanges for %llu chunks",
          (unsigned long long)exchanges, (unsigned long long)chunks);
    CHECK(m.connection == 1 && m.rates >= 1 && m.summaries == 1, "%u, %u and %u messages",
          m.connection, m.rates, m.summaries);
    free(inputs);
    free(labels);
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
    board_stop(&b);
}

/* ---------------------------------------------------------------------------------- checkpoints
 */

#define CHECKPOINT_FLOATS 160u

typedef struct checkpoint {
    float values[CHECKPOINT_FLOATS];
    uint32_t count;
    uint32_t steps;
} checkpoint;

static bool belongs_to_checkpoint(const char *name) {
    return strncmp(name, "gradient.", 9) != 0 && strcmp(name, "input") != 0 &&
           strcmp(name, "target") != 0;
}

/* Moves everything that outlives a step between the device and the checkpoint. */
static bt_status checkpoint_move(bt_session *session, checkpoint *c, bool save) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < bt_session_tensor_count(session); i++) {
        bt_tensor_info info = {.struct_size = sizeof info};
        require(bt_session_tensor_info(session, i, &info), "bt_session_tensor_info");
        if (!belongs_to_checkpoint(info.name)) {
            continue;
        }
        uint32_t count = info.bytes / 4;
        require(at + count <= CHECKPOINT_FLOATS ? BT_OK : BT_ERROR_CAPACITY, "checkpoint");
        bt_status status = save ? bt_session_read(session, info.name, c->values + at, count)
                                : bt_session_write(session, info.name, c->values + at, count);
        if (status != BT_OK) {
            return status;
        }
        at += count;
    }
    c->count = at;
    return BT_OK;
}

/* Opens a session and takes it to where the checkpoint is. */
static bt_status resume(bt_device *device, const bt_program *program, checkpoint *c,
                        bt_session **out) {
    bt_session *session;
    bt_status status = bt_session_open(device, program, &session);
    if (status != BT_OK) {
        return status;
    }
    *out = session;
    float inputs[SAMPLES * 24];
    int32_t labels[SAMPLES];
    uint32_t first;
    require(bt_random_normal(5, 0, SAMPLES * 24, inputs), "bt_random_normal");
    for (uint32_t i = 0; i < SAMPLES; i++) {
        labels[i] = (int32_t)i % 3;
    }
    const bt_samples samples = {.struct_size = sizeof samples,
                                .count = SAMPLES,
                                .format = BT_SAMPLE_INT16,
                                .channels = 2,
                                .inputs = inputs,
                                .labels = labels};
    status = bt_session_upload(session, &samples, &first);
    if (status == BT_OK && c->steps > 0) {
        status = checkpoint_move(session, c, false);
    }
    if (status == BT_OK) {
        status = bt_session_set_progress(session, c->steps * 8ull, c->steps);
    }
    return status;
}

static bt_status one_step(bt_session *session, checkpoint *c) {
    const bt_step step = {.samples = 8, .learning_rate = 0.01f};
    uint32_t indices[8];
    for (uint32_t i = 0; i < 8; i++) {
        indices[i] = (c->steps * 8 + i) * 5 % SAMPLES;
    }
    bt_status status = bt_session_train(session, &step, 1, indices, NULL, NULL);
    checkpoint next = {.steps = c->steps + 1};
    if (status == BT_OK) {
        status = checkpoint_move(session, &next, true);
    }
    if (status == BT_OK) {
        *c = next;
    }
    return status;
}

/* What a run without faults has after each of count steps. */
static checkpoint *undisturbed(const bt_program *program, uint32_t count) {
    checkpoint *all = calloc(count + 1, sizeof *all);
    bt_device *device = device_open("sim:?cores=1", 0);
    bt_session *session = NULL;
    require(resume(device, program, &all[0], &session), "resume");
    require(checkpoint_move(session, &all[0], true), "checkpoint");
    for (uint32_t i = 0; i < count; i++) {
        all[i + 1] = all[i];
        require(one_step(session, &all[i + 1]), "step");
    }
    bt_session_close(session);
    bt_device_close(device);
    return all;
}

static bool same_checkpoint(const checkpoint *a, const checkpoint *b) {
    return a->steps == b->steps && a->count == b->count &&
           memcmp(a->values, b->values, a->count * sizeof *a->values) == 0;
}

static void a_checkpoint_continues_on_another_device(void) {
    board b = board_start();
    bt_program *program = small_program();
    checkpoint *expected = undisturbed(program, 4), c = {0};
    for (uint32_t part = 0; part < 2; part++) {
        bt_device *device = device_open(launch_uri(&b, "&reset=on"), 0);
        bt_session *session = NULL;
        require(resume(device, program, &c, &session), "resume");
        require(one_step(session, &c), "step");
        require(one_step(session, &c), "step");
        bt_session_close(session);
        bt_device_close(device);
    }
    CHECK(same_checkpoint(&c, &expected[4]), "other weights after 2 + 2 steps than after 4");
    free(expected);
    bt_program_free(program);
    board_stop(&b);
}

/* ---------------------------------------------------------------------------------------- faults
 */

static pid_t child_of(pid_t parent, const char *name) {
    char command[128], line[64];
    snprintf(command, sizeof command, "pgrep -P %d 2>/dev/null", (int)parent);
    pid_t found = 0;
    FILE *list = popen(command, "r");
    while (found == 0 && fgets(line, sizeof line, list) != NULL) {
        char path[64], comm[64] = "";
        pid_t pid = (pid_t)atoi(line);
        snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
        FILE *file = fopen(path, "r");
        if (file != NULL) {
            if (fgets(comm, sizeof comm, file) != NULL && strstr(comm, name) != NULL) {
                found = pid;
            }
            fclose(file);
        }
        if (found == 0) {
            found = child_of(pid, name);
        }
    }
    pclose(list);
    return found;
}

typedef struct killer {
    pid_t victim;
    int signal;
} killer;

static void *kill_later(void *argument) {
    const killer *k = argument;
    usleep(300000);
    kill(k->victim, k->signal);
    return NULL;
}

static void openocd_dies_or_stops_in_the_middle(void) {
    static const int signals[] = {SIGKILL, SIGSTOP};
    static const bt_status expected[] = {BT_ERROR_DEVICE, BT_ERROR_TIMEOUT};
    board b = board_start();
    bt_program *program = small_program();
    for (uint32_t i = 0; i < 2; i++) {
        bt_device *device = device_open(
            launch_uri(&b, i == 0 ? "&reset=on" : "&start=attach&reset=on"), SHORT_TIMEOUT_MS);
        bt_session *session = session_open(device, program);
        upload_noise(session, program, 2, 3);
        killer k = {child_of(getpid(), "openocd"), signals[i]};
        CHECK(k.victim > 0, "no OpenOCD below this process");
        pthread_t thread;
        pthread_create(&thread, NULL, kill_later, &k);
        double begun = seconds();
        bt_status status = train(session, 2000, 8);
        double took = seconds() - begun;
        CHECK(status == expected[i], "%s: %s", bt_status_name(status), bt_error_message(0));
        CHECK(took < 3.0 * SHORT_TIMEOUT_MS / 1000.0 + 1.0, "%.1f s", took);
        pthread_join(thread, NULL);
        bt_session_close(session);
        bt_device_close(device);
        CHECK(kill(k.victim, 0) != 0, "OpenOCD outlived its device");
    }
    bt_program_free(program);
    board_stop(&b);
}

static void nothing_survives_a_killed_host(void) {
    int ready[2];
    board b = board_start();
    require(pipe(ready) == 0 ? BT_OK : BT_ERROR_IO, "pipe");
    pid_t host = fork();
    if (host == 0) {
        device_open(launch_uri(&b, "&reset=on"), 0);
        if (write(ready[1], "x", 1) == 1) {
            pause();
        }
        _exit(0);
    }
    char byte;
    CHECK(read(ready[0], &byte, 1) == 1, "the host process did not come up");
    pid_t openocd = child_of(host, "openocd");
    CHECK(openocd > 0, "no OpenOCD below the host process");
    kill(host, SIGKILL);
    waitpid(host, NULL, 0);
    double limit = seconds() + 10.0;
    while (kill(openocd, 0) == 0 && seconds() < limit) {
        usleep(10000);
    }
    CHECK(kill(openocd, 0) != 0, "OpenOCD outlived its host");
    close(ready[0]);
    close(ready[1]);
    board_stop(&b);
}

static void a_cable_is_locked(void) {
    board b = board_start();
    bt_device *device = device_open(launch_uri(&b, "&reset=on"), 0), *second;
    bt_status status = bt_device_open(launch_uri(&b, "&reset=on"), NULL, &second);
    CHECK(status == BT_ERROR_DEVICE && strstr(bt_error_message(0), "in use") != NULL, "%s: %s",
          bt_status_name(status), bt_error_message(0));
    bt_device_close(device);
    device = device_open(launch_uri(&b, "&start=attach&reset=on"), 0);
    bt_device_close(device);
    board_stop(&b);
}

static void faults_of_bus_and_module_end_in_errors(void) {
    static const char *const faults[] = {"bus-error 1000000", "busy-forever", "tap-reset 1000000"};
    board b = board_start();
    bt_program *program = small_program();
    bt_device_close(device_open(launch_uri(&b, "&reset=on"), 0));
    for (uint32_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        bt_device *device = device_open(launch_uri(&b, "&start=attach&reset=on"), SHORT_TIMEOUT_MS);
        bt_session *session = session_open(device, program);
        upload_noise(session, program, 2, 3);
        board_fault(&b, faults[i]);
        double begun = seconds();
        bt_status status = train(session, 3, 8);
        CHECK(status == BT_ERROR_DEVICE || status == BT_ERROR_TIMEOUT, "%s: %s", faults[i],
              bt_status_name(status));
        CHECK(seconds() - begun < 3 * SHORT_TIMEOUT_MS / 1000.0 + 1.0, "%s took %.1f s", faults[i],
              seconds() - begun);
        printf("       %s: %s\n", faults[i], bt_error_message(0));
        bt_session_close(session);
        bt_device_close(device);
        board_fault(&b, "clear");
    }
    bt_program_free(program);
    board_stop(&b);
}

typedef struct flipper {
    board *board;
    uint32_t flips;
    _Atomic bool stop;
} flipper;

static void *keep_flipping(void *argument) {
    flipper *f = argument;
    uint32_t seed = 7;
    while (!f->stop) {
        board_fault(f->board, "flip 1");
        f->flips++;
        usleep(100000 + next_below(&seed, 300000));
    }
    return NULL;
}

typedef struct losses {
    float values[64];
    uint32_t count;
} losses;

static uint32_t keep_loss(void *user, const bt_step_record *record) {
    losses *l = user;
    l->values[l->count++] = record->loss;
    return 0;
}

static bt_status train_losses(bt_session *session, uint32_t steps, losses *l) {
    bt_step plan[64];
    uint32_t indices[64 * 8];
    for (uint32_t i = 0; i < steps; i++) {
        plan[i] = (bt_step){.samples = 8, .learning_rate = 0.01f};
    }
    for (uint32_t i = 0; i < steps * 8; i++) {
        indices[i] = i * 5 % SAMPLES;
    }
    return bt_session_train(session, plan, steps, indices, keep_loss, l);
}

static void flipped_bits_on_the_bus_give_no_wrong_loss(void) {
    enum { STEPS = 30 };
    board b = board_start();
    bt_program *program = epidenet_program();
    losses expected = {.count = 0}, l = {.count = 0};
    uint32_t completed = 0;
    flipper f = {.board = &b};
    bt_device *device = device_open("sim:?cores=1", 0);
    bt_session *session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    require(train_losses(session, STEPS, &expected), "sim:");
    bt_session_close(session);
    bt_device_close(device);

    device = device_open(launch_uri(&b, "&reset=on"), SHORT_TIMEOUT_MS);
    session = session_open(device, program);
    upload_noise(session, program, 2, 11);
    pthread_t thread;
    pthread_create(&thread, NULL, keep_flipping, &f);
    bt_status status = train_losses(session, STEPS, &l);
    f.stop = true;
    pthread_join(thread, NULL);
    completed = l.count;
    CHECK(memcmp(l.values, expected.values, completed * sizeof *l.values) == 0,
          "another loss than on sim:");
    CHECK(status == BT_OK ? completed == STEPS
                          : status == BT_ERROR_DEVICE || status == BT_ERROR_TIMEOUT,
          "%s after %u steps: %s", bt_status_name(status), completed, bt_error_message(0));
    printf("       %u bits flipped, %u of %u steps: %s\n", f.flips, completed, STEPS,
           status == BT_OK ? "done" : bt_error_message(0));
    bt_session_close(session);
    bt_device_close(device);
    bt_program_free(program);
    board_stop(&b);
}

static void a_board_without_power_is_explained(void) {
    board b = board_start();
    bt_device *device;
    board_fault(&b, "no-target");
    bt_status status = bt_device_open(launch_uri(&b, "&reset=on"), NULL, &device);
    CHECK(status == BT_ERROR_DEVICE && strstr(bt_error_message(0), "no chip answers") != NULL,
          "%s: %s", bt_status_name(status), bt_error_message(0));
    board_stop(&b);
}

/* ----------------------------------------------------------------------------------- link drops
 */

/* Pulls the cable at random moments for as long as it is told to. */
typedef struct dropper {
    board *board;
    uint32_t seed;
    uint32_t longest_us; /* pause between two drops */
    uint32_t drops;
    double dropped; /* when it last did */
    _Atomic bool stop;
} dropper;

static void *keep_dropping(void *argument) {
    dropper *d = argument;
    while (!d->stop) {
        double end = seconds() + 1e-6 * next_below(&d->seed, d->longest_us);
        while (!d->stop && seconds() < end) {
            usleep(2000);
        }
        if (!d->stop) {
            board_fault(d->board, "drop 10");
            d->dropped = seconds();
            d->drops++;
        }
    }
    return NULL;
}

/* One life of a link: opens, resumes, trains until steps are done or something breaks. */
static bt_status live(const char *uri, const bt_program *program, checkpoint *c,
                      const checkpoint *expected, uint32_t steps, uint32_t *wrong) {
    const bt_device_options options = {.struct_size = sizeof options,
                                       .timeout_ms = SHORT_TIMEOUT_MS};
    bt_device *device;
    bt_session *session = NULL;
    bt_status status = bt_device_open(uri, &options, &device);
    if (status != BT_OK) {
        return status;
    }
    status = resume(device, program, c, &session);
    while (status == BT_OK && c->steps < steps) {
        status = one_step(session, c);
        *wrong += !same_checkpoint(c, &expected[c->steps]) && c->steps > 0;
    }
    bt_session_close(session);
    bt_device_close(device);
    return status;
}

static void a_link_that_drops_at_random_moments_resumes(void) {
    enum { MAX_STEPS = 1500 };
    const uint32_t drops = (uint32_t)atoi(setting("BIOTRAIN_DROPS", BT_DROPS));
    board b = board_start();
    bt_program *program = small_program();
    checkpoint *expected = undisturbed(program, MAX_STEPS), c = {0};
    dropper d = {.board = &b, .seed = 1};
    uint32_t wrong = 0, lives = 0, fruitful = 0;
    double longest = 0.0, begun = seconds();
    bt_device_close(device_open(launch_uri(&b, "&reset=on"), 0));
    double life = seconds();
    require(live(launch_uri(&b, "&start=attach&reset=on"), program, &c, expected, 1, &wrong),
            "a life without drops");
    life = seconds() - life;
    d.longest_us = (uint32_t)(1.5e6 * life);
    printf("       a life of one step takes %.2f s, without drops\n", life);
    while (d.drops < drops) {
        uint32_t steps_before = c.steps, drops_before = d.drops;
        pthread_t thread;
        d.stop = false;
        pthread_create(&thread, NULL, keep_dropping, &d);
        /* Every other life takes the firmware as it is, if it is still there. */
        const char *start = lives++ % 2 == 0 ? "&start=attach&reset=on" : "&reset=on";
        bt_status status = live(launch_uri(&b, start), program, &c, expected, MAX_STEPS, &wrong);
        double ended = seconds();
        CHECK(status == BT_ERROR_DEVICE || status == BT_ERROR_TIMEOUT, "life %u: %s: %s", lives,
              bt_status_name(status), bt_error_message(0));
        d.stop = true;
        pthread_join(thread, NULL);
        if (d.drops == drops_before) {
            continue; /* it found a firmware that does not run */
        }
        longest = ended - d.dropped > longest ? ended - d.dropped : longest;
        /* Moments all over a life: about every fourth does a step. */
        bool stepped = c.steps > steps_before;
        fruitful += stepped;
        d.longest_us = d.longest_us / 20 * (stepped ? 15 : 22);
        usleep(15000); /* until the board listens again */
    }
    uint32_t steps = c.steps + 3;
    bt_status status = live(launch_uri(&b, "&reset=on"), program, &c, expected, steps, &wrong);
    CHECK(status == BT_OK, "%s: %s", bt_status_name(status), bt_error_message(0));
    CHECK(wrong == 0, "%u wrong results", wrong);
    CHECK(same_checkpoint(&c, &expected[steps]), "other weights after %u steps than without drops",
          steps);
    CHECK(longest < 3 * SHORT_TIMEOUT_MS / 1000.0, "a drop was noticed after %.1f s", longest);
    printf("       %u drops in %.1f s: %u lives, %u of them did a step, %u steps in all, noticed "
           "within %.2f s\n",
           d.drops, seconds() - begun, lives, fruitful, steps, longest);
    CHECK(lives > drops / 4 && fruitful > 0, "%u lives, %u did a step", lives, fruitful);
    free(expected);
    bt_program_free(program);
    board_stop(&b);
}

static bool missing(const char *program) {
    char command[300];
    snprintf(command, sizeof command, "command -v %s >/dev/null", program);
    return system(command) != 0;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (access(BT_BOARD_FIRMWARE, R_OK) != 0) {
        return skip("the firmware was not built; clang-19 and lld-19 are needed for it");
    }
    if (missing("qemu-system-riscv32")) {
        return skip("qemu-system-riscv32 is not installed");
    }
    if (missing(setting("BIOTRAIN_OPENOCD", "openocd"))) {
        return skip("openocd is not installed");
    }
    signal(SIGPIPE, SIG_IGN);
    RUN(a_board_gives_the_bits_of_sim);
    RUN(a_running_openocd_and_firmware_are_attached_to);
    RUN(a_step_of_eight_samples_takes_at_most_three_exchanges);
    RUN(an_upload_reports_its_rate_and_the_time_left);
    RUN(a_checkpoint_continues_on_another_device);
    RUN(openocd_dies_or_stops_in_the_middle);
    RUN(nothing_survives_a_killed_host);
    RUN(a_cable_is_locked);
    RUN(faults_of_bus_and_module_end_in_errors);
    RUN(flipped_bits_on_the_bus_give_no_wrong_loss);
    RUN(a_board_without_power_is_explained);
    RUN(a_link_that_drops_at_random_moments_resumes);
    return REPORT();
}
