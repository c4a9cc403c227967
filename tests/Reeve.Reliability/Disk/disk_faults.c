/* Stands between the server and its disk (LD_PRELOAD) and lets writes and syncs of the database fail or dawdle. The
 * file named by DISK_FAULTS says what: "OP ACTION N", where OP is fsync or pwrite, ACTION is eio, enospc or a number of
 * milliseconds, and every Nth call is meant. An empty file, or none, means nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls;

static int is_database(int fd)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    char *name = strrchr(path, '/');
    return name && strncmp(name, "/reeve.db", 9) == 0;
}

/* 0: go on; otherwise the errno to fail with. */
static int meddle(int fd, const char *op)
{
    const char *control = getenv("DISK_FAULTS");
    char rule[64], wanted[16], action[16];
    long every;
    if (!control || !is_database(fd))
        return 0;
    int file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = read(file, rule, sizeof rule - 1);
    close(file);
    if (length <= 0)
        return 0;
    rule[length] = 0;
    if (sscanf(rule, "%15s %15s %ld", wanted, action, &every) != 3 || strcmp(wanted, op) != 0)
        return 0;
    if (every < 1 || atomic_fetch_add(&calls, 1) % every != 0)
        return 0;
    if (strcmp(action, "eio") == 0)
        return EIO;
    if (strcmp(action, "enospc") == 0)
        return ENOSPC;
    long milliseconds = atol(action);
    struct timespec pause = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
    nanosleep(&pause, NULL);
    return 0;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) \
        real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define FAIL_IF_MEANT(fd, op) \
    do { \
        int error = meddle(fd, op); \
        if (error) { \
            errno = error; \
            return -1; \
        } \
    } while (0)

int fsync(int fd)
{
    REAL(int, "fsync", int);
    FAIL_IF_MEANT(fd, "fsync");
    return real(fd);
}

int fdatasync(int fd)
{
    REAL(int, "fdatasync", int);
    FAIL_IF_MEANT(fd, "fsync");
    return real(fd);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    FAIL_IF_MEANT(fd, "pwrite");
    return real(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    FAIL_IF_MEANT(fd, "pwrite");
    return real(fd, bytes, count, offset);
}
