/* A host with a loop of its own: in each frame it lets the event loop work, for
 * at most 2 ms.
 *
 *   cc embed.c $(pkg-config --cflags --libs zmqloop)
 */
#include <stdio.h>
#include <zmqloop.h>

#define MS INT64_C(1000000) /* nanoseconds */

static void on_tick(zl_timer *timer, uint64_t missed, void *arg) {
  int *ticks = arg;
  (void)timer;
  (void)missed;
  printf("tick %d\n", ++*ticks);
}

static int play(zl_loop *loop) {
  const zl_budget budget = {.time_ns = 2 * MS};
  zl_timer *timer;
  int ticks = 0;
  int rc = zl_timer_new(loop, on_tick, &ticks, &timer);
  if (rc == 0) {
    rc = zl_timer_start(timer, 0, 20 * MS); /* now, and every 20 ms */
  }
  while (rc >= 0 && ticks < 3) {
    rc = zl_loop_step(loop, 16 * MS, &budget); /* waits out the frame */
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
