/* What a disk still holds after the power failed.
 *
 * Preloaded into a process, this library keeps a second copy of a directory, POWERLOSS_COPY, beside the real one,
 * POWERLOSS_DIR. A file gets into the copy as it is at each successful fsync or fdatasync of it. A rename or a
 * removal gets there at an fsync of its directory. What was only written is not in the copy, and neither is
 * what was only asked for with sync_file_range.
 *
 * It errs on the strict side in one way (a rename is lost without an fsync of the directory) and on the lenient
 * side in another (what other threads write while a file is copied may get into the copy).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
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

static void copy_file(const char *from, const char *to) {
    char fresh[PATH_MAX * 3];
    static char buffer[1 << 20];
    snprintf(fresh, sizeof fresh, "%s.copying", to);
    make_parents(to);
    int in = open(from, O_RDONLY);
    if (in < 0) return; /* removed meanwhile */
    int out = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    must(out >= 0, "open a copy");
    for (ssize_t got; (got = read(in, buffer, sizeof buffer)) != 0;) {
        must(got > 0 && write(out, buffer, got) == got, "copy a file");
    }
    close(in);
    close(out);
    /* In one step, because the process may be killed at any moment. */
    must(rename(fresh, to) == 0, "replace a copy");
}

/* The last synced content of a file, whatever it is called now. */
static void inode_path(char *to, const char *copy, ino_t inode) {
    snprintf(to, PATH_MAX, "%s.inodes/%lu", copy, (unsigned long)inode);
}

static void keep_file(const char *path, const char *target, const char *copy, ino_t inode) {
    char by_inode[PATH_MAX];
    copy_file(path, target);
    inode_path(by_inode, copy, inode);
    make_parents(by_inode);
    unlink(by_inode);
    must(link(target, by_inode) == 0, "link a copy");
}

static void keep_directory(const char *path, const char *target, const char *copy) {
    char from[PATH_MAX * 3], to[PATH_MAX * 3], fresh[PATH_MAX * 4], by_inode[PATH_MAX];
    struct dirent *entry;
    struct stat info;
    DIR *directory = opendir(path);
    while (directory && (entry = readdir(directory))) {
        snprintf(from, sizeof from, "%s/%s", path, entry->d_name);
        snprintf(to, sizeof to, "%s/%s", target, entry->d_name);
        if (lstat(from, &info) != 0 || !S_ISREG(info.st_mode)) continue;
        inode_path(by_inode, copy, info.st_ino);
        if (access(by_inode, F_OK) != 0) continue;
        make_parents(to);
        snprintf(fresh, sizeof fresh, "%s.naming", to);
        unlink(fresh);
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
    else if (info.st_nlink > 0) keep_file(path, target, copy, info.st_ino);
    pthread_mutex_unlock(&one_at_a_time);
}

int fsync(int fd) {
    int outcome = real("fsync")(fd);
    if (outcome == 0) keep(fd);
    return outcome;
}

int fdatasync(int fd) {
    int outcome = real("fdatasync")(fd);
    if (outcome == 0) keep(fd);
    return outcome;
}
