/* Stands before the C library's file operations and makes the Nth one fail, for files under one folder.
 *
 *   FAULT_UNDER   the folder
 *   FAULT_CLASS   write, sync, rename or open
 *   FAULT_AT      N, counting from 1
 *   FAULT_ERRNO   the number of the error
 *   FAULT_UNTIL   where it is set: all from the Nth on fail until this file exists; else only the Nth
 *
 * What was failed is said on standard error. Programs that make system calls without the C library are
 * not met; the daemon, SQLite and the index all go through it. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *under, *class, *until;
static long at;
static int number;
static atomic_long counted;

__attribute__((constructor)) static void begin(void) {
    under = getenv("FAULT_UNDER");
    class = getenv("FAULT_CLASS");
    until = getenv("FAULT_UNTIL");
    const char *n = getenv("FAULT_AT"), *e = getenv("FAULT_ERRNO");
    at = n ? atol(n) : 0;
    number = e ? atoi(e) : EIO;
}

static int inside(const char *path) {
    return under && path && strncmp(path, under, strlen(under)) == 0;
}

/* Whether this operation is to fail; `path` is for the message. */
static int fails(const char *kind, const char *path) {
    if (at <= 0 || !class || strcmp(kind, class) != 0)
        return 0;
    long n = atomic_fetch_add(&counted, 1) + 1;
    if (until ? n < at || syscall(SYS_faccessat, AT_FDCWD, until, F_OK) == 0 : n != at)
        return 0;
    char line[PATH_MAX + 100];
    int length = snprintf(line, sizeof line, "fault: %s %ld failed: %s\n", kind, n, path);
    syscall(SYS_write, 2, line, length);
    errno = number;
    return 1;
}

static int fails_fd(const char *kind, int fd) {
    char link[64], path[PATH_MAX + 1];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX);
    errno = kept;
    if (length < 0)
        return 0;
    path[length] = 0;
    return inside(path) && fails(kind, path);
}

static int fails_at(const char *kind, int folder, const char *path) {
    if (path && path[0] == '/')
        return inside(path) && fails(kind, path);
    return folder == AT_FDCWD ? 0 : fails_fd(kind, folder);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                                                  \
    int name(const char *path, int flags, ...) {                                                    \
        va_list rest;                                                                               \
        va_start(rest, flags);                                                                      \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                   \
        va_end(rest);                                                                               \
        if (inside(path) && fails("open", path))                                                    \
            return -1;                                                                              \
        return NEXT(name)(path, flags, mode);                                                       \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                \
    int name(int folder, const char *path, int flags, ...) {                                        \
        va_list rest;                                                                               \
        va_start(rest, flags);                                                                      \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                   \
        va_end(rest);                                                                               \
        if (fails_at("open", folder, path))                                                         \
            return -1;                                                                              \
        return NEXT(name)(folder, path, flags, mode);                                               \
    }
OPENAT(openat)
OPENAT(openat64)

int mkdir(const char *path, mode_t mode) {
    return inside(path) && fails("open", path) ? -1 : NEXT(mkdir)(path, mode);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    return fails_fd("write", fd) ? -1 : NEXT(write)(fd, bytes, count);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    return fails_fd("write", fd) ? -1 : NEXT(writev)(fd, parts, count);
}
#define PWRITE(name, offset_t)                                                                      \
    ssize_t name(int fd, const void *bytes, size_t count, offset_t offset) {                        \
        return fails_fd("write", fd) ? -1 : NEXT(name)(fd, bytes, count, offset);                   \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
#define TRUNCATE(name, offset_t)                                                                    \
    int name(int fd, offset_t length) {                                                             \
        return fails_fd("write", fd) ? -1 : NEXT(name)(fd, length);                                 \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)
#define ALLOCATE(name, offset_t)                                                                    \
    int name(int fd, int mode, offset_t offset, offset_t length) {                                  \
        return fails_fd("write", fd) ? -1 : NEXT(name)(fd, mode, offset, length);                   \
    }
ALLOCATE(fallocate, off_t)
ALLOCATE(fallocate64, off64_t)
/* These return the error. */
#define POSIX_ALLOCATE(name, offset_t)                                                              \
    int name(int fd, offset_t offset, offset_t length) {                                            \
        return fails_fd("write", fd) ? number : NEXT(name)(fd, offset, length);                     \
    }
POSIX_ALLOCATE(posix_fallocate, off_t)
POSIX_ALLOCATE(posix_fallocate64, off64_t)

int fsync(int fd) {
    return fails_fd("sync", fd) ? -1 : NEXT(fsync)(fd);
}
int fdatasync(int fd) {
    return fails_fd("sync", fd) ? -1 : NEXT(fdatasync)(fd);
}
/* Only the index maps files to write through them. */
int msync(void *address, size_t length, int flags) {
    return fails("sync", "(mapped)") ? -1 : NEXT(msync)(address, length, flags);
}

int rename(const char *from, const char *to) {
    return inside(to) && fails("rename", to) ? -1 : NEXT(rename)(from, to);
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return fails_at("rename", to_folder, to) ? -1 : NEXT(renameat)(from_folder, from, to_folder, to);
}
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    return fails_at("rename", to_folder, to)
               ? -1
               : NEXT(renameat2)(from_folder, from, to_folder, to, flags);
}
