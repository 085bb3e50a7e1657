/* Shifts the clock of the process that preloads this library, by the seconds in the file named by REHEARSAL_CLOCK.

   The file is mapped, so writing another number into it lets the clock of a running process jump. Only the wall clock
   is shifted; what counts the time since the start of the machine stays right, as it does when an operator or NTP sets
   the clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift_seconds;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_gettimeofday)(struct timeval *, void *);

static int64_t shift(void) { return shift_seconds ? *shift_seconds : 0; }

__attribute__((constructor)) static void begin(void) {
  real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  real_gettimeofday = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
  const char *path = getenv("REHEARSAL_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) shift_seconds = mapped;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *found) {
  int result = real_clock_gettime(clock, found);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) found->tv_sec += shift();
  return result;
}

int gettimeofday(struct timeval *restrict found, void *restrict zone) {
  int result = real_gettimeofday(found, zone);
  if (result == 0 && found) found->tv_sec += shift();
  return result;
}

time_t time(time_t *kept) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (kept) *kept = now.tv_sec;
  return now.tv_sec;
}
