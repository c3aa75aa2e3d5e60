/*
 * The gvsoc: link against a stand-in for GVSOC's proxy that plays recorded conversations, of both
 * dialects, and misbehaves on purpose; and against a stand-in for an installation of GVSOC. Needs
 * no GVSOC. Skips where the firmware, whose symbols it reads, is missing.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hal/pulp_open/pulp_open.h"
#include "link/elf.h"
#include "link/gvsoc.h"
#include "link/mailbox.h"
#include "link/proxy.h"
#include "support.h"

#define L2_HANDLE "0x563b81de0740"
#define L1_HANDLE "0x563b81f1ac20"

static uint32_t mailbox_address, boot_address, status_address;

/* ------------------------------------------------------------------------------------- stand-in */

typedef struct server {
    int listener;
    int client;
    uint16_t port;
    pthread_t thread;
    void (*play)(struct server *server);
    bool older; /* dialect without err= */
    char wrong[512];
} server;

static bool receive_within(int descriptor, char *to, size_t size, int milliseconds) {
    for (size_t done = 0; done < size;) {
        struct pollfd readable = {.fd = descriptor, .events = POLLIN};
        ssize_t count =
            poll(&readable, 1, milliseconds) > 0 ? recv(descriptor, to + done, size - done, 0) : 0;
        if (count <= 0) {
            return false;
        }
        done += (size_t)count;
    }
    return true;
}

/* Takes exactly these bytes from the client, or notes what came instead. */
static void expect(server *s, const char *format, ...) {
    char wanted[512], got[512] = "";
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(wanted, sizeof wanted, format, arguments);
    va_end(arguments);
    bool complete = receive_within(s->client, got, (size_t)length, 5000);
    if (s->wrong[0] == '\0' && (!complete || memcmp(got, wanted, (size_t)length) != 0)) {
        snprintf(s->wrong, sizeof s->wrong, "expected \"%.200s\", got \"%.200s\"", wanted, got);
    }
}

static void expect_payload(server *s, void *bytes, size_t size) {
    if (!receive_within(s->client, bytes, size, 5000) && s->wrong[0] == '\0') {
        snprintf(s->wrong, sizeof s->wrong, "a payload of %zu bytes did not come", size);
    }
}

static void reply_bytes(server *s, const void *bytes, size_t size) {
    send(s->client, bytes, size, MSG_NOSIGNAL);
}

static void reply(server *s, const char *format, ...) {
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    reply_bytes(s, text, (size_t)length);
}

static void *server_main(void *argument) {
    server *s = argument;
    s->client = accept(s->listener, NULL, NULL);
    if (s->client >= 0) {
        s->play(s);
        close(s->client);
    }
    return NULL;
}

static server server_start(void (*play)(server *), bool older) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    server s = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                .client = -1,
                .play = play,
                .older = older};
    bind(s.listener, (struct sockaddr *)&address, sizeof address);
    listen(s.listener, 1);
    getsockname(s.listener, (struct sockaddr *)&address, &length);
    s.port = ntohs(address.sin_port);
    return s;
}

static void server_end(server *s) {
    pthread_join(s->thread, NULL);
    close(s->listener);
    CHECK(s->wrong[0] == '\0', "%s", s->wrong);
}

/* ----------------------------------------------------------------------------------- the client */

static bt_link *link_to(const char *text) {
    bt_link *link = NULL;
    bt_uri uri;
    bt_status status = bt_uri_parse(text, &uri);
    if (status == BT_OK) {
        status = bt_link_open_gvsoc(&uri, NULL, &link);
    }
    CHECK(status == BT_OK, "%s: %s", text, bt_error_message(0));
    return link;
}

static bt_link *attach(server *s) {
    char text[512];
    pthread_create(&s->thread, NULL, server_main, s);
    snprintf(text, sizeof text, "gvsoc:127.0.0.1:%u?firmware=%s", s->port,
             BT_PULP_OPEN_FIRMWARE_FILE);
    return link_to(text);
}

static bool says(const char *part) { return strstr(bt_error_message(0), part) != NULL; }

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* --------------------------------------------------------------------------- recorded exchanges */

static const char *ok(const server *s) { return s->older ? "" : "err=0"; }

/* What every start begins with: two components, and the block that the firmware starts with. */
static void play_start(server *s) {
    bt_pulp_boot_block boot = {0};
    expect(s, "req=1;cmd=get_component chip/soc/axi_ico\n");
    reply(s, "req=1;msg=" L2_HANDLE "\n");
    expect(s, "req=2;cmd=get_component chip/cluster/l1/pe0_ico\n");
    reply(s, "req=2;msg=" L1_HANDLE "\n");
    expect(s, "req=3;cmd=component " L2_HANDLE " mem_write 0x%x 0xc\n", boot_address);
    expect_payload(s, &boot, sizeof boot);
    reply(s, "req=3;msg=%s\n", ok(s));
    if (boot.magic != BT_PULP_BOOT_MAGIC || boot.workers != 8) {
        snprintf(s->wrong, sizeof s->wrong, "boot block %x, %u", boot.magic, boot.workers);
    }
}

static void play_read(server *s, int request, const char *handle, uint32_t address,
                      const void *bytes, unsigned size) {
    expect(s, "req=%d;cmd=component %s mem_read 0x%x 0x%x\n", request, handle, address, size);
    reply(s, "req=%d;payload=%u\n", request, size);
    reply_bytes(s, bytes, size);
    reply(s, "req=%d;msg=%s\n", request, ok(s));
}

static void play_alive(server *s, int request) {
    static const bt_pulp_report report;
    play_read(s, request, L2_HANDLE, status_address, &report, sizeof report);
}

static void play_conversation(server *s) {
    const uint32_t before = 6, after = 7, value = 0x04030201;
    uint32_t written = 0;
    uint32_t sequence = mailbox_address + (uint32_t)offsetof(bt_mailbox, sequence);
    play_start(s);
    play_read(s, 4, L2_HANDLE, 0x1C010000, &value, 4);
    play_read(s, 5, L1_HANDLE, 0x10000100, &value, 4);
    /* The word that posts a command, then the doorbell. */
    expect(s, "req=6;cmd=component " L2_HANDLE " mem_write 0x%x 0x4\n\x07%c%c%c", sequence, 0, 0,
           0);
    reply(s, "req=6;msg=%s\n", ok(s));
    expect(s, "req=7;cmd=component " L2_HANDLE " mem_write 0x1a109810 0x4\n\x01%c%c%c", 0, 0, 0);
    reply(s, "req=7;msg=%s\n", ok(s));
    /* A wait: time advances, the word is looked at until it differs, time stands still again. What
     * comes unasked is skipped. */
    expect(s, "req=8;cmd=run\n");
    reply(s, s->older ? "req=-1;msg=running=0\nreq=8\n" : "req=8\n");
    play_read(s, 9, L2_HANDLE, 0x1C010000, &before, 4);
    expect(s, "req=10;cmd=component " L2_HANDLE " mem_read 0x1c010000 0x4\n");
    reply(s, "req=-1;msg=syscall_stop\nreq=10;payload=4\n");
    reply_bytes(s, &after, 4);
    reply(s, s->older ? "req=10;msg=\n" : "req=10;msg=err=0;step_stopped=1\n");
    expect(s, "req=11;cmd=stop\n");
    reply(s, s->older ? "req=-1;msg=stopped=13882\nreq=11\n" : "req=11\n");
    play_alive(s, 12);
    /* Whoever leaves lets time go on. */
    expect(s, "req=13;cmd=run\n");
    if (recv(s->client, &written, 1, 0) != 0 && s->wrong[0] == '\0') {
        snprintf(s->wrong, sizeof s->wrong, "the client did not leave");
    }
}

static void check_conversation(bool older) {
    server s = server_start(play_conversation, older);
    bt_link *link = attach(&s);
    const uint32_t seven = 7;
    uint32_t word = 0;
    CHECK(link->operations->state(link) == BT_LINK_STOPPED, "state before the start");
    CHECK(link->operations->start(link) == BT_OK, "%s", bt_error_message(0));
    CHECK(link->operations->state(link) == BT_LINK_RUNNING, "state after the start");
    CHECK(link->operations->read(link, 0x1C010000, &word, 4) == BT_OK && word == 0x04030201,
          "%08x %s", word, bt_error_message(0));
    CHECK(link->operations->read(link, 0x10000100, &word, 4) == BT_OK && word == 0x04030201,
          "%08x %s", word, bt_error_message(0));
    CHECK(link->operations->write(link, mailbox_address + (uint32_t)offsetof(bt_mailbox, sequence),
                                  &seven, 4) == BT_OK,
          "%s", bt_error_message(0));
    CHECK(link->operations->wait_change(link, 0x1C010000, 6, 5000000000u) == BT_OK, "%s",
          bt_error_message(0));
    link->operations->close(link);
    server_end(&s);
}

static void todays_dialect_is_spoken(void) { check_conversation(false); }

static void the_older_dialect_is_spoken(void) { check_conversation(true); }

/* ------------------------------------------------------------------------------------- failures */

/* Starts the link, reads four bytes, and returns what that came to. */
static bt_status read_one_word(void (*play)(server *), double *took) {
    server s = server_start(play, false);
    bt_link *link = attach(&s);
    uint32_t word;
    double begin = seconds();
    bt_status status = link->operations->start(link);
    if (status == BT_OK) {
        status = link->operations->read(link, 0x1C010000, &word, 4);
    }
    *took = seconds() - begin;
    link->operations->close(link);
    server_end(&s);
    return status;
}

static void check_failure(const char *what, void (*play)(server *), bt_status expected,
                          const char *sentence) {
    double took;
    bt_status status = read_one_word(play, &took);
    CHECK(status == expected, "%s: %s", what, bt_status_name(status));
    CHECK(says(sentence), "%s: %s", what, bt_error_message(0));
    CHECK(took < 5.0, "%s took %.1f s", what, took);
}

static void expect_read(server *s) {
    play_start(s);
    expect(s, "req=4;cmd=component " L2_HANDLE " mem_read 0x1c010000 0x4\n");
}

static void play_refusal(server *s) {
    expect_read(s);
    reply(s, "req=4;payload=4\nXXXXreq=4;msg=err=1\n");
}

static void play_refusal_without_payload(server *s) {
    expect_read(s);
    reply(s, "req=4;msg=err=1\n");
}

static void play_garbage(server *s) {
    expect_read(s);
    reply(s, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static void play_another_number(server *s) {
    expect_read(s);
    reply(s, "req=77;payload=4\n");
}

static void play_endless_line(server *s) {
    char line[1500];
    memset(line, 'x', sizeof line);
    expect_read(s);
    reply_bytes(s, line, sizeof line);
}

static void play_too_many_bytes(server *s) {
    expect_read(s);
    reply(s, "req=4;payload=1000000000\n");
}

static void play_half_a_payload(server *s) {
    expect_read(s);
    reply(s, "req=4;payload=4\nXX");
}

static void play_no_component(server *s) {
    expect(s, "req=1;cmd=get_component chip/soc/axi_ico\n");
    reply(s, "req=1;msg=0x0\n");
}

static void play_nothing(server *s) { (void)s; }

static void misbehaviour_is_an_error_in_one_sentence(void) {
    check_failure("refusal", play_refusal, BT_ERROR_DEVICE,
                  "refused to read 4 bytes at 0x1C010000");
    check_failure("refusal without payload", play_refusal_without_payload, BT_ERROR_DEVICE,
                  "refused to read 4 bytes at 0x1C010000");
    check_failure("garbage", play_garbage, BT_ERROR_DEVICE, "is that GVSOC?");
    check_failure("another number", play_another_number, BT_ERROR_DEVICE, "\"req=77;payload=4\"");
    check_failure("endless line", play_endless_line, BT_ERROR_DEVICE, "more than 1023 characters");
    check_failure("too many bytes", play_too_many_bytes, BT_ERROR_DEVICE, "4 were asked for");
    check_failure("half a payload", play_half_a_payload, BT_ERROR_DEVICE,
                  "the simulator closed it");
    check_failure("no component", play_no_component, BT_ERROR_ARGUMENT,
                  "no component chip/soc/axi_ico");
    check_failure("closed at once", play_nothing, BT_ERROR_DEVICE, "is gone");
}

static void play_silence(server *s) {
    char byte;
    expect(s, "req=1;cmd=run\n");
    /* Until the client gives up. */
    CHECK(recv(s->client, &byte, 1, 0) == 0, "the client said more");
}

static void silence_runs_into_the_deadline(void) {
    server s = server_start(play_silence, false);
    char port[16];
    bt_proxy proxy;
    pthread_create(&s.thread, NULL, server_main, &s);
    snprintf(port, sizeof port, "%u", s.port);
    CHECK(bt_proxy_connect(&proxy, "127.0.0.1", port, 300) == BT_OK, "%s", bt_error_message(0));
    double begin = seconds();
    bt_status status = bt_proxy_command(&proxy, "run");
    CHECK(status == BT_ERROR_TIMEOUT, "%s", bt_status_name(status));
    CHECK(says("did not answer within 300 ms"), "%s", bt_error_message(0));
    CHECK(seconds() - begin < 3.0, "took %.1f s", seconds() - begin);
    bt_proxy_close(&proxy);
    server_end(&s);
}

static void play_end_of_program(server *s) {
    const uint32_t zero = 0;
    play_start(s);
    expect(s, "req=4;cmd=run\n");
    reply(s, "req=4\nreq=-1;exit=3\n");
    expect(s, "req=5;cmd=component " L2_HANDLE " mem_read 0x1c010000 0x4\n");
    reply(s, "req=5;payload=4\n");
    reply_bytes(s, &zero, 4);
    reply(s, "req=5;msg=err=0\n");
}

static void the_end_of_the_program_is_noticed(void) {
    server s = server_start(play_end_of_program, false);
    bt_link *link = attach(&s);
    CHECK(link->operations->start(link) == BT_OK, "%s", bt_error_message(0));
    bt_status status = link->operations->wait_change(link, 0x1C010000, 0, 5000000000u);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    CHECK(says("ended with status 3"), "%s", bt_error_message(0));
    CHECK(link->operations->state(link) == BT_LINK_LOST, "state after the end");
    link->operations->close(link);
    server_end(&s);
}

static void play_trap(server *s) {
    const uint32_t one = 1;
    const bt_pulp_report report = {
        .trapped = 1, .trap_hart = 3, .trap_cause = 2, .trap_address = 0x1C010ABC};
    play_start(s);
    expect(s, "req=4;cmd=run\n");
    reply(s, "req=4\n");
    play_read(s, 5, L2_HANDLE, 0x1C010000, &one, 4);
    expect(s, "req=6;cmd=stop\n");
    reply(s, "req=6\n");
    play_read(s, 7, L2_HANDLE, status_address, &report, sizeof report);
    expect(s, "req=8;cmd=run\n");
}

static void an_exception_of_the_firmware_is_reported(void) {
    server s = server_start(play_trap, false);
    bt_link *link = attach(&s);
    CHECK(link->operations->start(link) == BT_OK, "%s", bt_error_message(0));
    bt_status status = link->operations->wait_change(link, 0x1C010000, 0, 5000000000u);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    CHECK(says("hart 3 took exception 2 at 0x1C010ABC"), "%s", bt_error_message(0));
    link->operations->close(link);
    server_end(&s);
}

static void nothing_listens(void) {
    server s = server_start(play_nothing, false);
    char text[512];
    close(s.listener);
    snprintf(text, sizeof text, "gvsoc:localhost:%u?firmware=%s", s.port,
             BT_PULP_OPEN_FIRMWARE_FILE);
    bt_link *link = link_to(text);
    bt_status status = link->operations->start(link);
    CHECK(status == BT_ERROR_IO, "%s", bt_status_name(status));
    CHECK(says("Connection refused"), "%s", bt_error_message(0));
    link->operations->close(link);
}

/* --------------------------------------------------------------------- a stand-in's installation
 */

static char install[] = "/tmp/biotrain-test-gvsoc-XXXXXX";

static void write_program(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/bin/%s", install, name);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    chmod(path, 0700);
}

/* Writes the configuration that GVSOC writes, as far as it matters. */
static const char gvsoc_script[] =
    "#!/bin/sh\n"
    "for word; do case $word in --work-dir=*) work=${word#*=};; esac; done\n"
    "echo \"$*\" > \"${0%/*}/arguments\"\n"
    "cat > \"$work/gvsoc_config.json\" <<'END'\n"
    "{ \"target\": { \"axi_proxy\": { \"vp\": 1 },\n"
    "  \"gvsoc\": { \"proxy\": {\n        \"enabled\": false,\n        \"port\": 42951\n      },\n"
    "    \"events\": { \"enabled\": false } } } }\n"
    "END\n";

/* Runs only with the proxy switched on; then it says where the test's stand-in listens. */
static const char launcher_script[] =
    "#!/bin/sh\n"
    "tr -d ' \\n' < gvsoc_config.json |\n"
    "    grep -q '\"proxy\":{\"enabled\":true,\"port\":0},\"events\":{\"enabled\":false' || exit "
    "9\n"
    "cmp -s firmware.elf \"$BT_TEST_FIRMWARE\" || exit 8\n"
    "stat -c %a . > \"$BT_TEST_FOLDER\"\n"
    "pwd >> \"$BT_TEST_FOLDER\"\n"
    "echo \"Opened proxy on socket $BT_TEST_PORT\"\n"
    "exec sleep 1000\n";

static bt_link *launch_link(void) {
    char text[512];
    snprintf(text, sizeof text, "gvsoc:?install=%s&firmware=%s", install,
             BT_PULP_OPEN_FIRMWARE_FILE);
    return link_to(text);
}

static void play_launched(server *s) {
    uint32_t word = 5;
    play_start(s);
    expect(s, "req=4;cmd=run\n");
    reply(s, "req=4\n");
    play_read(s, 5, L2_HANDLE, 0x1C010000, &word, 4);
    expect(s, "req=6;cmd=stop\n");
    reply(s, "req=6\n");
    play_alive(s, 7);
    /* A simulator of one's own is ended, not set free. */
    CHECK(recv(s->client, &word, 1, 0) == 0, "the client said more");
}

static void a_simulator_is_launched_and_leaves_nothing_behind(void) {
    server s = server_start(play_launched, false);
    char port[16], folder[160], mode[16] = "", work[256] = "";
    snprintf(port, sizeof port, "%u", s.port);
    snprintf(folder, sizeof folder, "%s/folder", install);
    setenv("BT_TEST_PORT", port, 1);
    setenv("BT_TEST_FOLDER", folder, 1);
    setenv("BT_TEST_FIRMWARE", BT_PULP_OPEN_FIRMWARE_FILE, 1);
    write_program("gvsoc", gvsoc_script);
    write_program("gvsoc_launcher", launcher_script);
    pthread_create(&s.thread, NULL, server_main, &s);
    bt_link *link = launch_link();
    bt_status status = link->operations->start(link);
    CHECK(status == BT_OK, "%s", bt_error_message(0));
    status = link->operations->wait_change(link, 0x1C010000, 0, 5000000000u);
    CHECK(status == BT_OK, "%s", bt_error_message(0));
    FILE *file = fopen(folder, "r");
    CHECK(file != NULL && fgets(mode, sizeof mode, file) != NULL &&
              fgets(work, sizeof work, file) != NULL,
          "no folder noted");
    fclose(file);
    work[strcspn(work, "\n")] = '\0';
    CHECK(strcmp(mode, "700\n") == 0, "%s has mode %s", work, mode);
    CHECK(access(work, F_OK) != 0, "%s has kept its name", work);
    link->operations->close(link);
    server_end(&s);
}

static void check_launch_failure(const char *gvsoc, const char *launcher, const char *sentence) {
    write_program("gvsoc", gvsoc);
    write_program("gvsoc_launcher", launcher);
    bt_link *link = launch_link();
    bt_status status = link->operations->start(link);
    CHECK(status == BT_ERROR_DEVICE, "%s", bt_status_name(status));
    CHECK(says(sentence), "%s", bt_error_message(0));
    link->operations->close(link);
}

static void what_a_failing_simulator_says_is_passed_on(void) {
    check_launch_failure("#!/bin/sh\necho 'No module named prettytable' >&2; exit 1\n",
                         launcher_script, "No module named prettytable");
    check_launch_failure("#!/bin/sh\n"
                         "for word; do case $word in --work-dir=*) work=${word#*=};; esac; done\n"
                         "echo '{\"gvsoc\": 1}' > \"$work/gvsoc_config.json\"\n",
                         launcher_script, "no proxy with enabled and port");
    check_launch_failure(gvsoc_script,
                         "#!/bin/sh\necho 'Invalid access (pc: 0x1c010000, offset: 0x4)'; exit 1\n",
                         "Invalid access (pc: 0x1c010000");
}

static void check_refused(const char *text, const char *sentence) {
    bt_link *link;
    bt_uri uri;
    bt_status status = bt_uri_parse(text, &uri);
    if (status == BT_OK) {
        status = bt_link_open_gvsoc(&uri, NULL, &link);
    }
    CHECK(status == BT_ERROR_ARGUMENT || status == BT_ERROR_IO, "%s: %s", text,
          bt_status_name(status));
    CHECK(says(sentence), "%s: %s", text, bt_error_message(0));
}

static void options_are_checked(void) {
    unsetenv("GAP_SDK_HOME");
    unsetenv("GVSOC_INSTALL_DIR");
    check_refused("gvsoc:?target=pulp-open", "neither GVSOC_INSTALL_DIR nor GAP_SDK_HOME is set");
    setenv("GAP_SDK_HOME", "/nowhere", 1);
    check_refused("gvsoc:", "no program /nowhere/install/workstation/bin/gvsoc");
    setenv("GVSOC_INSTALL_DIR", "/elsewhere", 1);
    check_refused("gvsoc:", "no program /elsewhere/bin/gvsoc");
    check_refused("gvsoc:?target=siracusa", "neither pulp-open nor gap9");
    check_refused("gvsoc:?cores=9", "cores=9");
    check_refused("gvsoc:?target=gap9&cores=4", "always works with all its cores");
    check_refused("gvsoc:?doorbell=bell", "doorbell=bell");
    check_refused("gvsoc:?l1=", "1 to 127");
    check_refused("gvsoc:?speed=9", "no option \"speed\"");
    check_refused("gvsoc:localhost", "is not host:port");
    check_refused("gvsoc:localhost:99999", "is not host:port");
    check_refused("gvsoc:localhost:1",
                  "has no firmware; name one with gvsoc:?target=pulp-open&firmware=");
    check_refused("gvsoc:localhost:1?firmware=/nowhere.elf",
                  "Cannot read the firmware /nowhere.elf");
    check_refused("gvsoc:localhost:1?firmware=/bin/sh", "not a 32-bit little-endian RISC-V ELF");
    check_refused("gvsoc:localhost:1?firmware=" BT_FIRMWARE_FILE, "no symbol bt_pulp_mailbox");
}

static void read_symbols(void) {
    static uint8_t bytes[1u << 20];
    uint32_t size;
    bt_elf elf;
    FILE *file = fopen(BT_PULP_OPEN_FIRMWARE_FILE, "rb");
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    CHECK(bt_elf_open(bytes, length, &elf) == BT_OK &&
              bt_elf_symbol(&elf, "bt_pulp_mailbox", &mailbox_address, &size) == BT_OK &&
              bt_elf_symbol(&elf, "bt_pulp_boot", &boot_address, &size) == BT_OK &&
              bt_elf_symbol(&elf, "bt_pulp_status", &status_address, &size) == BT_OK,
          "%s", bt_error_message(0));
}

int main(void) {
    char command[128];
    if (access(BT_PULP_OPEN_FIRMWARE_FILE, R_OK) != 0) {
        printf("Skipped: the firmware was not built; clang-19 and lld-19 are needed for it\n");
        return 0;
    }
    snprintf(command, sizeof command, "mkdir %s/bin", mkdtemp(install));
    if (system(command) != 0) {
        return 1;
    }
    RUN(read_symbols);
    RUN(todays_dialect_is_spoken);
    RUN(the_older_dialect_is_spoken);
    RUN(misbehaviour_is_an_error_in_one_sentence);
    RUN(silence_runs_into_the_deadline);
    RUN(the_end_of_the_program_is_noticed);
    RUN(an_exception_of_the_firmware_is_reported);
    RUN(nothing_listens);
    RUN(a_simulator_is_launched_and_leaves_nothing_behind);
    RUN(what_a_failing_simulator_says_is_passed_on);
    RUN(options_are_checked);
    snprintf(command, sizeof command, "rm -r %s", install);
    return system(command) != 0 ? 1 : REPORT();
}
