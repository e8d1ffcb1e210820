/* What a disk still holds after the power failed.
 *
 * Preloaded into a process, this library keeps a second copy of a directory, POWERLOSS_COPY, beside the real one,
 * POWERLOSS_DIR. A file gets into the copy as it is at each successful fsync or fdatasync of it. A rename or a
 * removal gets there at an fsync of its directory. What was only written is not in the copy, and neither is
 * what was only asked for with sync_file_range.
 *
 * With POWERLOSS_EIO_AFTER=n the disk fails instead: every sync after the n-th is an EIO.
 *
 * What is in the directory when a process starts counts as synced. A name whose file was never synced is an empty
 * file after an fsync of its directory. Whoever puts the copy back in place of the directory removes
 * POWERLOSS_COPY.inodes as well: the files put back are other ones, and their inode numbers may have been in use.
 *
 * With POWERLOSS_KILL_AT=n the process is killed in place of its n-th sync. As a disk under this model changes at
 * syncs alone, these are all the instants that there are.
 *
 * It errs on the strict side in one way (a rename is lost without an fsync of the directory) and on the lenient
 * side in another (what other threads write while a file is copied may get into the copy).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static int (*real(const char *name))(int) {
    return (int (*)(int))dlsym(RTLD_NEXT, name);
}

/* A copy that cannot be kept would make the test blind. */
static void must(int condition, const char *what) {
    if (!condition) {
        perror(what);
        abort();
    }
}

static void make_parents(const char *path) {
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *at = part + 1; *at; at++) {
        if (*at == '/') {
            *at = 0;
            mkdir(part, 0755);
            *at = '/';
        }
    }
}

/* Where copies are made before they get their name; never put back in place of the directory. */
static void fresh_path(char *to, const char *copy) {
    snprintf(to, PATH_MAX, "%s.inodes/fresh", copy);
    make_parents(to);
}

static void copy_file(const char *from, const char *to, const char *copy) {
    char fresh[PATH_MAX];
    static char buffer[1 << 20];
    fresh_path(fresh, copy);
    make_parents(to);
    int in = open(from, O_RDONLY);
    if (in < 0) return; /* removed meanwhile */
    unlink(fresh);
    int out = open(fresh, O_WRONLY | O_CREAT | O_EXCL, 0644);
    must(out >= 0, "open a copy");
    for (ssize_t got; (got = read(in, buffer, sizeof buffer)) != 0;) {
        must(got > 0 && write(out, buffer, got) == got, "copy a file");
    }
    close(in);
    close(out);
    /* In one step, because the process may be killed at any moment. */
    must(rename(fresh, to) == 0, "replace a copy");
}

/* The last synced content of a file, whatever it is called now. The number of an inode is used again once its file
 * is removed, so the time of birth belongs to its name. */
static int inode_path(char *to, const char *copy, const char *path) {
    struct statx info;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &info) != 0) return 0;
    if (!S_ISREG(info.stx_mode)) return 0;
    must(info.stx_mask & STATX_BTIME, "this file system does not tell when a file was made");
    snprintf(to, PATH_MAX, "%s.inodes/%llu-%lld-%u", copy, (unsigned long long)info.stx_ino,
             (long long)info.stx_btime.tv_sec, info.stx_btime.tv_nsec);
    return 1;
}

static void keep_file(const char *path, const char *target, const char *copy) {
    char by_inode[PATH_MAX];
    if (!inode_path(by_inode, copy, path)) return;
    copy_file(path, by_inode, copy);
    char fresh[PATH_MAX];
    fresh_path(fresh, copy);
    make_parents(target);
    unlink(fresh);
    if (link(by_inode, fresh) == 0) must(rename(fresh, target) == 0, "name a copy");
}

static void keep_directory(const char *path, const char *target, const char *copy) {
    char from[PATH_MAX * 3], to[PATH_MAX * 3], fresh[PATH_MAX], by_inode[PATH_MAX];
    struct dirent *entry;
    struct stat info;
    DIR *directory = opendir(path);
    while (directory && (entry = readdir(directory))) {
        snprintf(from, sizeof from, "%s/%s", path, entry->d_name);
        snprintf(to, sizeof to, "%s/%s", target, entry->d_name);
        if (!inode_path(by_inode, copy, from)) continue;
        make_parents(to);
        fresh_path(fresh, copy);
        unlink(fresh);
        if (access(by_inode, F_OK) != 0) {
            int empty = open(by_inode, O_WRONLY | O_CREAT, 0644);
            must(empty >= 0, "make an empty copy");
            close(empty);
        }
        must(link(by_inode, fresh) == 0 && rename(fresh, to) == 0, "name a copy");
        unlink(fresh); /* still there if both names were the same file */
    }
    if (directory) closedir(directory);
    directory = opendir(target);
    while (directory && (entry = readdir(directory))) {
        snprintf(from, sizeof from, "%s/%s", path, entry->d_name);
        snprintf(to, sizeof to, "%s/%s", target, entry->d_name);
        if (lstat(to, &info) == 0 && S_ISREG(info.st_mode) && access(from, F_OK) != 0) unlink(to);
    }
    if (directory) closedir(directory);
}

static int keep_found(const char *path, const struct stat *info, int kind, struct FTW *place) {
    const char *source = getenv("POWERLOSS_DIR"), *copy = getenv("POWERLOSS_COPY");
    char target[PATH_MAX * 2];
    (void)info, (void)place;
    snprintf(target, sizeof target, "%s%s", copy, path + strlen(source));
    if (kind == FTW_F) keep_file(path, target, copy);
    return 0;
}

/* What is there at the start is on the disk. A process that this one starts finds the directory of inodes made. */
__attribute__((constructor)) static void start(void) {
    const char *source = getenv("POWERLOSS_DIR"), *copy = getenv("POWERLOSS_COPY");
    char inodes[PATH_MAX];
    if (!source || !copy) return;
    snprintf(inodes, sizeof inodes, "%s.inodes", copy);
    make_parents(inodes);
    if (mkdir(inodes, 0755) == 0) nftw(source, keep_found, 16, FTW_PHYS);
}

/* Whether the disk has failed by now. */
static int has_failed(void) {
    static int syncs;
    const char *after = getenv("POWERLOSS_EIO_AFTER");
    return after && __atomic_fetch_add(&syncs, 1, __ATOMIC_SEQ_CST) >= atoi(after);
}

/* Kills the process if this is the sync at which the power fails. */
static void maybe_kill(void) {
    static int syncs;
    const char *at = getenv("POWERLOSS_KILL_AT");
    if (at && __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST) >= atoi(at)) {
        kill(getpid(), SIGKILL);
        for (;;) pause(); /* no other thread gets a sync after it either */
    }
}

static void keep(int fd) {
    const char *source = getenv("POWERLOSS_DIR"), *copy = getenv("POWERLOSS_COPY");
    char link[64], path[PATH_MAX], target[PATH_MAX * 2];
    struct stat info;
    if (!source || !copy) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || fstat(fd, &info) != 0) return;
    path[length] = 0;
    size_t root = strlen(source);
    if (strncmp(path, source, root) != 0 || (path[root] != '/' && path[root] != 0)) return;
    snprintf(target, sizeof target, "%s%s", copy, path + root);
    pthread_mutex_lock(&one_at_a_time);
    if (S_ISDIR(info.st_mode)) keep_directory(path, target, copy);
    else if (info.st_nlink > 0) keep_file(path, target, copy);
    pthread_mutex_unlock(&one_at_a_time);
}

int fsync(int fd) {
    maybe_kill();
    if (has_failed()) {
        errno = EIO;
        return -1;
    }
    int outcome = real("fsync")(fd);
    if (outcome == 0) keep(fd);
    return outcome;
}

int fdatasync(int fd) {
    maybe_kill();
    if (has_failed()) {
        errno = EIO;
        return -1;
    }
    int outcome = real("fdatasync")(fd);
    if (outcome == 0) keep(fd);
    return outcome;
}
