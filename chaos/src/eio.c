/* A disk that fails under one process.
 *
 * Preloaded into a process, this library answers EIO in place of writes to files below EIO_DIR, of syncs of them, or of
 * both, as long as the first eight bytes of the file EIO_FILE say so: 1 for writes, 2 for syncs, 3 for both. How often it
 * did is counted in the next eight. Whatever else the process does with files stays as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2 };

static struct { _Atomic uint64_t fails; _Atomic uint64_t failed; } *shared;
static const char *below;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("EIO_FILE");
    below = getenv("EIO_DIR");
    int file = path && below ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) shared = mapped;
}

/* Whether this call fails, on whatever file the descriptor stands for. */
static int fails(int fd, uint64_t kind) {
    if (!shared || !(shared->fails & kind)) return 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    size_t root = strlen(below);
    if (strncmp(path, below, root) != 0 || (path[root] != '/' && path[root] != 0)) return 0;
    shared->failed++;
    errno = EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count) {
    return fails(fd, WRITES) ? -1 : REAL(write)(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    return fails(fd, WRITES) ? -1 : REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    return fails(fd, WRITES) ? -1 : REAL(pwrite64)(fd, bytes, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return fails(fd, WRITES) ? -1 : REAL(writev)(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return fails(fd, WRITES) ? -1 : REAL(pwritev)(fd, parts, count, at);
}

int ftruncate(int fd, off_t length) { return fails(fd, WRITES) ? -1 : REAL(ftruncate)(fd, length); }

int ftruncate64(int fd, off64_t length) { return fails(fd, WRITES) ? -1 : REAL(ftruncate64)(fd, length); }

int fsync(int fd) { return fails(fd, SYNCS) ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return fails(fd, SYNCS) ? -1 : REAL(fdatasync)(fd); }

int sync_file_range(int fd, off64_t from, off64_t count, unsigned int flags) {
    return fails(fd, SYNCS) ? -1 : REAL(sync_file_range)(fd, from, count, flags);
}
