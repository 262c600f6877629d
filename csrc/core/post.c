/* post.c - callbacks from other threads, and waking the loop.
 * SPDX-License-Identifier: MIT
 *
 * A Treiber stack: a post is one compare-and-swap, and the loop takes all posts
 * with one exchange and reverses them. "The stack was empty" is exactly the
 * condition for a wake-up, so no flag can get out of step with it.
 *
 * The wake-up descriptor is level-triggered and is read when it is reported, so
 * a wake between that read and the next wait ends the wait.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

#include "loop.h"
#include "post.h"

#ifdef __linux__
static int open_pair(zl__mailbox *mailbox) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) {
    return -errno;
  }
  mailbox->wake_read = fd;
  mailbox->wake_write = fd;
  return 0;
}
#else
static int open_pair(zl__mailbox *mailbox) {
  int fds[2];
  if (pipe(fds) < 0) {
    return -errno;
  }
  for (int i = 0; i < 2; i++) {
    (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    (void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
  }
  mailbox->wake_read = fds[0];
  mailbox->wake_write = fds[1];
  return 0;
}
#endif

int zl__mailbox_open(zl__mailbox *mailbox) {
  atomic_init(&mailbox->head, NULL);
  mailbox->taken = NULL;
  mailbox->wake_read = -1;
  mailbox->wake_write = -1;
  mailbox->pid = getpid();
  return open_pair(mailbox);
}

static zl__post *reversed(zl__post *post) {
  zl__post *result = NULL;
  while (post) {
    zl__post *next = post->next;
    post->next = result;
    result = post;
    post = next;
  }
  return result;
}

static void drop_all(zl__post *post) {
  while (post) {
    zl__post *next = post->next;
    if (post->drop) {
      post->drop(post->arg);
    }
    free(post);
    post = next;
  }
}

void zl__mailbox_close(zl__mailbox *mailbox) {
  if (mailbox->wake_read < 0) {
    return;
  }
  drop_all(mailbox->taken);
  drop_all(reversed(atomic_exchange(&mailbox->head, NULL)));
  if (mailbox->wake_write != mailbox->wake_read) {
    (void)close(mailbox->wake_write);
  }
  (void)close(mailbox->wake_read);
  mailbox->wake_read = -1;
}

int zl__mailbox_drain_wake(const zl__mailbox *mailbox) {
  uint64_t count;
  ssize_t got;
  do {
    got = read(mailbox->wake_read, &count, sizeof count);
    /* One read resets an eventfd. */
  } while (got > 0 && mailbox->wake_write != mailbox->wake_read);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)) ? 0
                                                                     : -EBADF;
}

void zl__mailbox_take_wake(zl__mailbox *mailbox) {
  mailbox->deaf = zl__mailbox_drain_wake(mailbox);
  mailbox->woken |= atomic_exchange(&mailbox->waking, false);
}

bool zl__mailbox_forked(const zl__mailbox *mailbox) {
  return mailbox->pid != getpid();
}

bool zl__mailbox_empty(const zl__mailbox *mailbox) {
  return !mailbox->taken &&
         !atomic_load_explicit(&mailbox->head, memory_order_relaxed);
}

void zl__posts_take(zl_loop *loop) {
  zl__mailbox *mailbox = &loop->mailbox;
  mailbox->taken = reversed(
      atomic_exchange_explicit(&mailbox->head, NULL, memory_order_acquire));
}

bool zl__posts_run(zl_loop *loop) {
  zl__mailbox *mailbox = &loop->mailbox;
  while (mailbox->taken) {
    if (zl__budget_spent(&loop->budget, &loop->clock)) {
      return false;
    }
    zl__post *post = mailbox->taken;
    zl_callback_fn fn = post->fn;
    void *arg = post->arg;
    mailbox->taken = post->next;
    free(post);
    loop->stats.total.posts++;
    zl__budget_count(&loop->budget);
    fn(loop, arg);
    zl__stats_called(loop);
  }
  return true;
}

int zl_loop_post(zl_loop *loop, zl_callback_fn fn, void *arg,
                 void (*drop)(void *arg)) {
  zl__mailbox *mailbox = &loop->mailbox;
  zl__post *post = malloc(sizeof *post);
  if (!post) {
    return -ENOMEM;
  }
  *post = (zl__post){.fn = fn, .arg = arg, .drop = drop};
  post->next = atomic_load_explicit(&mailbox->head, memory_order_relaxed);
  /* Once the swap has succeeded, the post belongs to the loop's thread. */
  bool was_empty;
  do {
    was_empty = post->next == NULL;
  } while (!atomic_compare_exchange_weak_explicit(&mailbox->head, &post->next,
                                                  post, memory_order_release,
                                                  memory_order_relaxed));
  if (was_empty) {
    zl__mailbox_wake(mailbox);
  }
  return 0;
}

/* Ends the current or the next wait. A step returns only after something was
 * handled or after zl_loop_wake(). A forked child shares the descriptor with
 * its parent, and must not wake the parent. Async-signal-safe. */
void zl__mailbox_wake(const zl__mailbox *mailbox) {
  int saved = errno;
  uint64_t one = 1;
  if (zl__mailbox_forked(mailbox)) {
    return;
  }
  /* EAGAIN means that a wake-up is pending already. */
  ssize_t written = write(mailbox->wake_write, &one, sizeof one);
  (void)written;
  errno = saved;
}

void zl_loop_wake(zl_loop *loop) {
  atomic_store(&loop->mailbox.waking, true);
  zl__mailbox_wake(&loop->mailbox);
}
