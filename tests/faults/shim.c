// Faults of the system on demand: preloaded, it fails the k-th call of one kind on files whose path holds a word.
//
// fault_arm(kind, k, how, error, word) from ctypes; calls on other files are not counted. Kinds are those of NAMES below.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN, WRITE, FSYNC, RENAME, TRUNCATE, READ, CLOSE };
enum { ONCE, FOR_GOOD, SHORT, INTERRUPT };

static atomic_int armed = -1, calls = 0, struck = 0;
static int at, how, number;
static char word[256];

void fault_arm(int kind, int k, int manner, int error, const char* path) {
  armed = -1;
  at = k, how = manner, number = error;
  snprintf(word, sizeof word, "%s", path);
  calls = struck = 0;
  armed = kind;
}
int fault_calls(void) { return calls; }
int fault_struck(void) { return struck; }

static int mine(const char* path) { return path && strstr(path, word); }

static int mine_fd(int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return mine(path);
}

// Whether this call is to fail; counts it.
static int strikes(int kind) {
  const int n = calls++;
  if (n != at && !(how == FOR_GOOD && n > at)) return 0;
  struck++;
  (void)kind;
  return 1;
}

#define NEXT(name) ((__typeof__(&name))next(#name))
static void* next(const char* name) { return dlsym(RTLD_NEXT, name); }

static int fails(int kind, int concerned) {
  if (armed != kind || !concerned || !strikes(kind)) return 0;
  errno = how == INTERRUPT ? EINTR : number;
  return 1;
}

#define OPENS(name)                                                          \
  int name(const char* path, int flags, ...) {                               \
    va_list rest;                                                            \
    va_start(rest, flags);                                                   \
    const mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                                            \
    if (armed == OPEN && fails(OPEN, mine(path))) return -1;                 \
    return NEXT(name)(path, flags, mode);                                    \
  }
OPENS(open)
OPENS(open64)

ssize_t write(int file, const void* data, size_t n) {
  if (armed == WRITE && mine_fd(file) && strikes(WRITE)) {
    if (how == SHORT) return NEXT(write)(file, data, n > 1 ? n / 2 : n);
    errno = how == INTERRUPT ? EINTR : number;
    return -1;
  }
  return NEXT(write)(file, data, n);
}
ssize_t read(int file, void* data, size_t n) {
  if (armed == READ && mine_fd(file) && strikes(READ)) {
    if (how == SHORT) return NEXT(read)(file, data, n > 1 ? n / 2 : n);
    errno = how == INTERRUPT ? EINTR : number;
    return -1;
  }
  return NEXT(read)(file, data, n);
}
#define PREADS(name, offset_type)                                            \
  ssize_t name(int file, void* data, size_t n, offset_type offset) {         \
    if (armed == READ && mine_fd(file) && strikes(READ)) {                   \
      if (how == SHORT) return NEXT(name)(file, data, n > 1 ? n / 2 : n, offset); \
      errno = how == INTERRUPT ? EINTR : number;                             \
      return -1;                                                             \
    }                                                                        \
    return NEXT(name)(file, data, n, offset);                                \
  }
PREADS(pread, off_t)
PREADS(pread64, off64_t)
// What becomes of a reading into parts: 1 for an error, 0 for all, -1 for the first half of the only part.
static int parted(int file, const struct iovec* parts, int n, struct iovec* half) {
  if (armed != READ || !mine_fd(file) || !strikes(READ)) return 0;
  if (how != SHORT) {
    errno = how == INTERRUPT ? EINTR : number;
    return 1;
  }
  if (n != 1 || parts->iov_len < 2) return 0;
  half->iov_base = parts->iov_base;
  half->iov_len = parts->iov_len / 2;
  return -1;
}
#define PREADVS(name, offset_type)                                           \
  ssize_t name(int file, const struct iovec* parts, int n, offset_type offset) { \
    struct iovec half;                                                       \
    const int found = parted(file, parts, n, &half);                         \
    return found > 0 ? -1 : NEXT(name)(file, found ? &half : parts, n, offset); \
  }
#define PREADV2S(name, offset_type)                                          \
  ssize_t name(int file, const struct iovec* parts, int n, offset_type offset, int flags) { \
    struct iovec half;                                                       \
    const int found = parted(file, parts, n, &half);                         \
    return found > 0 ? -1 : NEXT(name)(file, found ? &half : parts, n, offset, flags); \
  }
PREADVS(preadv, off_t)
PREADVS(preadv64, off64_t)
PREADV2S(preadv2, off_t)
PREADV2S(preadv64v2, off64_t)

int fsync(int file) { return armed == FSYNC && fails(FSYNC, mine_fd(file)) ? -1 : NEXT(fsync)(file); }
int fdatasync(int file) { return armed == FSYNC && fails(FSYNC, mine_fd(file)) ? -1 : NEXT(fdatasync)(file); }
int rename(const char* from, const char* to) {
  return armed == RENAME && fails(RENAME, mine(to)) ? -1 : NEXT(rename)(from, to);
}
int renameat(int a, const char* from, int b, const char* to) {
  return armed == RENAME && fails(RENAME, mine(to)) ? -1 : NEXT(renameat)(a, from, b, to);
}
int ftruncate(int file, off_t n) {
  return armed == TRUNCATE && fails(TRUNCATE, mine_fd(file)) ? -1 : NEXT(ftruncate)(file, n);
}
int ftruncate64(int file, off64_t n) {
  return armed == TRUNCATE && fails(TRUNCATE, mine_fd(file)) ? -1 : NEXT(ftruncate64)(file, n);
}
// The file is closed all the same, as Linux does it.
int close(int file) {
  const int struck_here = armed == CLOSE && mine_fd(file) && strikes(CLOSE);
  const int result = NEXT(close)(file);
  if (!struck_here) return result;
  errno = number;
  return -1;
}
