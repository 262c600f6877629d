/* A host with a loop of its own, 60 frames a second: in each frame it lets the
 * event loop work for at most 2 ms.
 *
 *   cc embed.c $(pkg-config --cflags --libs zmqloop)
 */
#include <stdio.h>
#include <time.h>
#include <zmqloop.h>

#define SECOND INT64_C(1000000000) /* nanoseconds */
#define FRAME  (SECOND / 60)
#define MS     (SECOND / 1000)

static void on_tick(zl_timer *timer, uint64_t missed, void *arg) {
  int *ticks = arg;
  (void)timer;
  (void)missed;
  printf("tick %d\n", ++*ticks);
}

/* A game waits for the display instead. */
static void wait_until(const zl_loop *loop, int64_t time_ns) {
  int64_t rest = time_ns - zl_loop_time_ns(loop);
  struct timespec delay = {.tv_sec = rest / SECOND, .tv_nsec = rest % SECOND};
  if (rest > 0) {
    nanosleep(&delay, NULL);
  }
}

static int play(zl_loop *loop) {
  const zl_budget budget = {.time_ns = 2 * MS};
  int64_t frame_ends = zl_loop_time_ns(loop);
  zl_timer *timer;
  int ticks = 0;
  int rc = zl_timer_new(loop, on_tick, &ticks, &timer);
  if (rc == 0) {
    rc = zl_timer_start(timer, 0, 20 * MS); /* now, and every 20 ms */
  }
  while (rc >= 0 && ticks < 3) {
    rc = zl_loop_step(loop, 0, &budget); /* what is pending */
    /* here the host moves and draws */
    frame_ends += FRAME;
    wait_until(loop, frame_ends);
  }
  return rc;
}

int main(void) {
  zl_loop *loop;
  int rc = zl_loop_new(NULL, &loop);
  if (rc == 0) {
    rc = play(loop);
    zl_loop_close(loop); /* and with it the timer */
  }
  if (rc < 0) {
    fprintf(stderr, "%s: %s\n", zl_errname(rc), zl_strerror(rc));
  }
  return rc < 0;
}
