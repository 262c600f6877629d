rockspec_format = "3.0"
package = "zmqloop"
version = "scm-1"

source = {
  url = "git+https://example.org/zmqloop.git", -- `luarocks make` fetches nothing
}

description = {
  summary = "Event loop, timers and ZeroMQ streams",
  detailed = [[
    An event loop for ZeroMQ in C, scripted in Lua: callbacks, timers,
    descriptors, and streams that queue what they cannot send yet. The names
    are those of PyZMQ's eventloop. Needs libzmq 4.3 or newer with its headers
    (Debian: libzmq3-dev).
  ]],
  license = "MIT",
  labels = {"zeromq", "async", "eventloop", "messaging"},
}

dependencies = {"lua >= 5.1, < 5.6"}

external_dependencies = {
  ZMQ = {header = "zmq.h", library = "zmq"},
}

build = {
  type = "builtin",
  modules = {
    ["zmqloop"] = "lua/zmqloop/init.lua",
    ["zmqloop.blocked"] = "lua/zmqloop/blocked.lua",
    ["zmqloop.callbacks"] = "lua/zmqloop/callbacks.lua",
    ["zmqloop.future"] = "lua/zmqloop/future.lua",
    ["zmqloop.green"] = "lua/zmqloop/green.lua",
    ["zmqloop.integrate.attachment"] = "lua/zmqloop/integrate/attachment.lua",
    ["zmqloop.integrate.cqueues"] = "lua/zmqloop/integrate/cqueues.lua",
    ["zmqloop.integrate.ioloop"] = "lua/zmqloop/integrate/ioloop.lua",
    ["zmqloop.integrate.luv"] = "lua/zmqloop/integrate/luv.lua",
    ["zmqloop.ioloop"] = "lua/zmqloop/ioloop.lua",
    ["zmqloop.jit"] = "lua/zmqloop/jit.lua",
    ["zmqloop.json"] = "lua/zmqloop/json.lua",
    ["zmqloop.lazy"] = "lua/zmqloop/lazy.lua",
    ["zmqloop.locks"] = "lua/zmqloop/locks.lua",
    ["zmqloop.message_owner"] = "lua/zmqloop/message_owner.lua",
    ["zmqloop.modules"] = "lua/zmqloop/modules.lua",
    ["zmqloop.monitor"] = "lua/zmqloop/monitor.lua",
    ["zmqloop.poll"] = "lua/zmqloop/poll.lua",
    ["zmqloop.poller"] = "lua/zmqloop/poller.lua",
    ["zmqloop.queues"] = "lua/zmqloop/queues.lua",
    ["zmqloop.report"] = "lua/zmqloop/report.lua",
    ["zmqloop.stream_tasks"] = "lua/zmqloop/stream_tasks.lua",
    ["zmqloop.task"] = "lua/zmqloop/task.lua",
    ["zmqloop.testing"] = "lua/zmqloop/testing.lua",
    ["zmqloop.trace"] = "lua/zmqloop/trace.lua",
    ["zmqloop.waiters"] = "lua/zmqloop/waiters.lua",
    ["zmqloop.watch"] = "lua/zmqloop/watch.lua",
    ["zmqloop.zmq"] = "lua/zmqloop/zmq.lua",
    ["zmqloop.zmqstream"] = "lua/zmqloop/zmqstream.lua",
    ["zmqloop.core"] = {
      -- spec/rockspec_spec.lua compares this with what is there
      sources = {
        "csrc/core/blocked.c",
        "csrc/core/callback.c",
        "csrc/core/clock.c",
        "csrc/core/error.c",
        "csrc/core/fd.c",
        "csrc/core/handle.c",
        "csrc/core/heap.c",
        "csrc/core/host.c",
        "csrc/core/loop.c",
        "csrc/core/memory.c",
        "csrc/core/message.c",
        "csrc/core/poll_epoll.c",
        "csrc/core/poll_posix.c",
        "csrc/core/post.c",
        "csrc/core/queue.c",
        "csrc/core/ready.c",
        "csrc/core/registry.c",
        "csrc/core/signal.c",
        "csrc/core/socket.c",
        "csrc/core/stats.c",
        "csrc/core/stream.c",
        "csrc/core/timer.c",
        "csrc/core/verify.c",
        "csrc/core/watch.c",
        "csrc/lua/address.c",
        "csrc/lua/argument.c",
        "csrc/lua/block_hook.c",
        "csrc/lua/blocked.c",
        "csrc/lua/call.c",
        "csrc/lua/callback.c",
        "csrc/lua/calls.c",
        "csrc/lua/clock.c",
        "csrc/lua/constants.c",
        "csrc/lua/context.c",
        "csrc/lua/curve.c",
        "csrc/lua/ending.c",
        "csrc/lua/entry.c",
        "csrc/lua/exit.c",
        "csrc/lua/frame.c",
        "csrc/lua/handle.c",
        "csrc/lua/handler.c",
        "csrc/lua/hook.c",
        "csrc/lua/inbox.c",
        "csrc/lua/inproc.c",
        "csrc/lua/interrupt.c",
        "csrc/lua/ioloop.c",
        "csrc/lua/loop.c",
        "csrc/lua/message.c",
        "csrc/lua/module.c",
        "csrc/lua/monitor.c",
        "csrc/lua/object.c",
        "csrc/lua/option_value.c",
        "csrc/lua/options.c",
        "csrc/lua/outbox.c",
        "csrc/lua/poller.c",
        "csrc/lua/proxy.c",
        "csrc/lua/report.c",
        "csrc/lua/send_options.c",
        "csrc/lua/signal.c",
        "csrc/lua/slot.c",
        "csrc/lua/socket.c",
        "csrc/lua/source.c",
        "csrc/lua/spelling.c",
        "csrc/lua/start.c",
        "csrc/lua/stream.c",
        "csrc/lua/stream_jit.c",
        "csrc/lua/stream_recv.c",
        "csrc/lua/stream_send.c",
        "csrc/lua/testing.c",
        "csrc/lua/text.c",
        "csrc/lua/timer.c",
        "csrc/lua/trace.c",
        "csrc/lua/tracker.c",
        "csrc/lua/wait.c",
      },
      incdirs = {"csrc/include", "$(ZMQ_INCDIR)"},
      libdirs = {"$(ZMQ_LIBDIR)"},
      libraries = {"zmq", "pthread"},
    },
  },
  copy_directories = {},
}

test = {
  type = "command",
  command = "scripts/test",
}
