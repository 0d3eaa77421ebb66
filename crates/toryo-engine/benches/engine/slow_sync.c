/* Makes every sync of Postgres take TORYO_BENCH_SYNC_MICROSECONDS longer, as a disk does that has to write. Loaded before
 * the C library into the processes of the benchmark; in others than Postgres' it does nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long long microseconds = 0;

/* Before main: later Postgres writes what each process does over its own name, and forks inherit what was read. */
__attribute__((constructor)) static void read_delay(void) {
    const char *text = getenv("TORYO_BENCH_SYNC_MICROSECONDS");
    if (text != NULL && strcmp(program_invocation_short_name, "postgres") == 0) microseconds = atoll(text);
}

static void delay(void) {
    struct timespec left = {microseconds / 1000000, microseconds % 1000000 * 1000};
    while (microseconds > 0 && nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

int fsync(int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    delay();
    return real(file);
}

int fdatasync(int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    delay();
    return real(file);
}
