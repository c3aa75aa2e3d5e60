/* The usual failures, by the words in which OpenOCD 0.10 and 0.12 report them. */
#include "link/openocd.h"

#include <string.h>

typedef struct bt_failure {
    const char *words[2]; /* all must be there; the first one's line is quoted */
    const char *sentence;
} bt_failure;

#define UDEV_RULE                                                                                  \
    "SUBSYSTEM==\"usb\", ATTR{idVendor}==\"0403\", ATTR{idProduct}==\"6011\", MODE=\"0660\", "     \
    "TAG+=\"uaccess\""

/* From the particular to the general: the first that fits is told. */
static const bt_failure failures[] = {
    {{"LIBUSB_ERROR_ACCESS", NULL},
     "The debug cable may not be opened by this user: put the line '" UDEV_RULE
     "' (with the cable's numbers from lsusb) into /etc/udev/rules.d/60-biotrain.rules, run "
     "'udevadm control --reload' as root and plug the cable in again."},
    {{"LIBUSB_ERROR_BUSY", NULL},
     "The debug cable is held by another program, most often an OpenOCD that was left over: end it "
     "('fuser -v /dev/bus/usb/*/*' shows who it is), or unbind the ftdi_sio driver from the "
     "cable's debug channel."},
    {{"couldn't bind", NULL},
     "A port that OpenOCD wants is taken, most often by an OpenOCD that was left over: end that "
     "one, or attach to it with openocd:HOST:PORT."},
    {{"unable to open ftdi device", NULL},
     "No debug cable of the kind and serial number that the cable's configuration names is free: "
     "plug it in, compare 'lsusb' with the file of option cable, and end an OpenOCD that may hold "
     "it."},
    {{"No J-Link device found", NULL},
     "No J-Link is plugged in, but the cable's configuration asks for one; name another file with "
     "option cable."},
    {{"Failed to connect", NULL},
     "Nothing answers where the script expects a JTAG server: start the virtual board, and give "
     "its port to the script."},
    {{"scan chain interrogation failed: all ones", NULL},
     "The JTAG chain reads all ones: no chip answers. Check the board's power, the cable's "
     "connector and that the chip is not in deep sleep; power-cycle the board."},
    {{"scan chain interrogation failed: all zeroes", NULL},
     "The JTAG chain reads all zeroes: no chip answers. Check the board's power, the cable's "
     "connector and option cable; power-cycle the board."},
    {{"UNEXPECTED", "xpected"},
     "The chip on the JTAG chain is not the one that the script describes; check option script and "
     "which board the cable is on."},
    {{"Unsupported DTM version", NULL},
     "The JTAG chain answers nonsense: lower option speed, shorten the cable, or check option "
     "script."},
    {{"Debug Module did not become active", NULL},
     "The chip's debug module does not wake up: power-cycle the board, and check that debugging is "
     "not disabled by its fuses."},
    {{"application exited", NULL},
     "The firmware ended by a semihosting exit, which ends OpenOCD too; a BioTrain firmware never "
     "does that, so another one was running: load the right one."},
    {{"semihosting: *** application", NULL},
     "The firmware ended by a semihosting exit, which ends OpenOCD too; a BioTrain firmware never "
     "does that, so another one was running: load the right one."},
    {{"Timed out after", "sbbusy"},
     "The chip's system bus does not answer: the memory may be switched off, or the chip hangs; "
     "power-cycle the board."},
    {{"Timed out after", NULL},
     "The chip's debug module stays busy: lower option speed, or power-cycle the board."},
    {{"timed out while waiting for target halted", NULL},
     "The core does not halt: it sleeps or hangs. Power-cycle the board, or use option reset=on."},
    {{"Target not examined", NULL},
     "OpenOCD could not examine the core: check the board's power and option speed, then open the "
     "device again."},
    {{"dtmcontrol is 0", NULL},
     "The JTAG chain answers, but no debug module behind it: check the board's power and option "
     "speed."},
    {{"DMI operation didn't complete", NULL},
     "The chip's debug module does not answer: lower option speed, or power-cycle the board."},
    {{"is not authenticated", NULL},
     "The chip's debug module is locked; a locked chip cannot be used."},
    {{"Failed to write memory via system bus", NULL},
     "The chip's system bus refused a write: the address is not its memory, or that memory is "
     "switched off."},
    {{"Failed to read memory via system bus", NULL},
     "The chip's system bus refused a read: the address is not its memory, or that memory is "
     "switched off."},
    {{"the core has halted", NULL},
     "The core stands still: it met a breakpoint, a fault or a semihosting call, or a debugger "
     "halted it. Load the firmware again (start=load)."},
    {{"Can't find", NULL},
     "OpenOCD does not find a file: check options script and cable, and name the folder of the "
     "files they include with option search."},
    {{"couldn't open", NULL},
     "OpenOCD cannot read a file: check options script and cable, and name the folder of the files "
     "they include with option search."},
    {{"not found", "biotrain:"},
     "There is no such program; name OpenOCD's with option binary, or install it (apt install "
     "openocd)."},
    {{"invalid command name", NULL},
     "The script uses a command that this OpenOCD does not have: scripts of the GAP SDK need the "
     "SDK's own OpenOCD, so name it with option binary."},
};

const char *bt_openocd_explain(const char *messages, const char **line) {
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        const bt_failure *failure = &failures[i];
        const char *found = strstr(messages, failure->words[0]);
        if (found != NULL &&
            (failure->words[1] == NULL || strstr(messages, failure->words[1]) != NULL)) {
            while (found > messages && found[-1] != '\n') {
                found--;
            }
            *line = found;
            return failure->sentence;
        }
    }
    return NULL;
}
