"""Runs a driver and its load, and takes what they print. SPDX-License-Identifier: MIT"""
import json
import os
import resource
import socket
import subprocess
import time

import drivers

TIMEOUT = 60

CORES = sorted(os.sched_getaffinity(0))
PEER_CORE, LOAD_CORE = CORES[-1], CORES[0]


class Wrong(Exception):
    """A run that failed, or whose counts or contents were wrong."""


def allow_descriptors():
    """The idle sockets take a descriptor each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def start(command, core):
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=lambda: os.sched_setaffinity(0, {core}))


def finish(processes):
    """Waits until all have ended, or one has failed; returns the JSON of each."""
    deadline = time.monotonic() + TIMEOUT
    while any(p.poll() is None for p in processes) and not any(p.poll() for p in processes):
        if time.monotonic() > deadline:
            raise Wrong('no end after %d s' % TIMEOUT)
        time.sleep(0.01)
    for p in processes:
        if p.poll():
            error = p.stderr.read().strip().split('\n')[0]
            raise Wrong('%s: exit status %d: %s' % (p.args[0], p.poll(), error))
    return [json.loads(p.stdout.read()) for p in processes]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def new_endpoint(transport, directory):
    if transport == 'tcp':
        return 'tcp://127.0.0.1:%d' % free_port()
    if transport == 'ipc':
        return 'ipc://%s/bench' % directory
    return 'inproc://bench'


def commands(line, count, directory):
    """What is to be started, and on which core: the peer, and its load if that is a process."""
    options = {**line.workload.options, **line.options, 'counted': count}
    if not line.workload.load:
        return [(drivers.PEERS[line.peer], line.workload.task, options, PEER_CORE)]
    options['endpoint'] = new_endpoint(line.workload.transport, directory)
    options['checked'] = max(100, count // 20)
    peer = drivers.PEERS[line.peer], line.workload.task, options, PEER_CORE
    if line.workload.transport == 'inproc':
        options['load'] = line.workload.load
        return [peer]
    load_core = LOAD_CORE if line.workload.split else PEER_CORE
    return [peer, ([drivers.LOAD], line.workload.load, options, load_core)]


def run(line, count, directory, under=()):
    """Runs a line's peer (`under` a tool) and its load; returns what both printed."""
    processes = []
    for driver, task, options, core in commands(line, count, directory):
        tool = under if not processes else ()
        arguments = ['%s=%s' % option for option in options.items()]
        processes.append(start([*tool, *driver, task, *arguments], core))
    try:
        results = finish(processes)
    finally:
        for p in processes:
            p.kill()
            p.communicate()
    for result in results:
        if result['messages'] != count:
            raise Wrong('%d of %d' % (result['messages'], count))
    figures = {}
    for result in reversed(results):  # what the peer says counts
        figures.update(result)
    return figures
