"""Runs a driver and its load, and reads their output. SPDX-License-Identifier: MIT"""
import collections
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
    """A run that failed, or that counted or received the wrong messages."""


def allow_descriptors():
    """Raises the limit of descriptors: each idle socket needs one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def start(command, environment, cores):
    os.sched_setaffinity(0, cores)  # which the child inherits
    try:
        return subprocess.Popen(command, env={**os.environ, **environment},
                                text=True, errors='replace',
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        os.sched_setaffinity(0, CORES)


def finish(processes):
    """Waits until all have ended or one has failed; returns the JSON that each printed."""
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


Command = collections.namedtuple('Command', 'driver task options cores rest', defaults=((),))


def commands(line, count, directory):
    """The commands to start: the peer, and its load if that is another process."""
    workload, peer = line.workload, drivers.PEERS[line.peer]
    options = {**workload.options, **line.options, 'counted': count}
    if not workload.load:
        core = set(CORES) if workload.split else {PEER_CORE}
        return [Command(peer, workload.task, options, core)]
    options['endpoint'] = new_endpoint(workload.transport, directory)
    if workload.load == 'startup':
        return [Command(drivers.LOAD._replace(environment=peer.environment), 'startup', options,
                        {PEER_CORE}, ('--', *peer.command, workload.task))]
    options.setdefault('checked', max(100, count // 20))
    if workload.transport == 'inproc':
        options['load'] = workload.load
        if workload.split:
            options['load_core'] = LOAD_CORE
        return [Command(peer, workload.task, options, {PEER_CORE})]
    load_core = {LOAD_CORE if workload.split else PEER_CORE}
    return [Command(peer, workload.task, options, {PEER_CORE}),
            Command(drivers.LOAD, workload.load, options, load_core)]


def run(line, count, directory, under=(), cores=None):
    """Runs a line's peer (under the tool `under`) and its load, on their usual cores or on those
    given; returns what both printed."""
    processes = []
    for driver, task, options, its_cores, rest in commands(line, count, directory):
        tool = under if not processes else ()
        arguments = ['%s=%s' % option for option in options.items()]
        processes.append(start([*tool, *driver.command, task, *arguments, *rest],
                               driver.environment, cores or its_cores))
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


def count_calls(line, count, directory):
    """System calls per message, by strace, without those of the start."""
    totals = []
    for part in (count // 4, count):
        out = os.path.join(directory, 'calls')
        run(line, part, directory, under=['strace', '-f', '-c', '-U', 'calls', '-o', out])
        with open(out) as f:
            totals.append([int(word) for word in f.read().split() if word.isdigit()][-1])
        os.remove(out)
    more = (count - count // 4) * 21 / 20  # with those that are checked
    return {'calls': (totals[1] - totals[0]) / more}
