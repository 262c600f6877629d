"""Conditions of a measurement: the machine, and versions of software. SPDX-License-Identifier: MIT"""
import os
import re
import subprocess


def first_line(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.strip().split('\n')[0]


def cpu(key):
    """The first value of a key in /proc/cpuinfo, or ''."""
    with open('/proc/cpuinfo') as f:
        found = re.search(r'^%s\s*: (.*)$' % key, f.read(), re.M)
    return found.group(1) if found else ''


def instruction_set():
    return '%s, %s AVX2' % (os.uname().machine, 'with' if 'avx2' in cpu('flags') else 'without')


def versions():
    """The conditions that all figures depend on."""
    return [first_line('cc', '--version'), first_line('ldd', '--version'),
            'libzmq ' + first_line('pkg-config', '--modversion', 'libzmq')]


def lua_versions():
    """The versions of the interpreters, by peer."""
    return {'zmqloop 5.4': first_line('lua5.4', '-v').split('  ')[0],
            'zmqloop luajit': first_line('luajit', '-v').split(' --')[0]}


def machine():
    """One line that says where something was measured."""
    return '%s, %d cores, Linux %s' % (cpu('model name') or os.uname().machine,
                                       len(os.sched_getaffinity(0)),
                                       '.'.join(os.uname().release.split('.')[:2]))
