"""The drivers: how each peer is started. SPDX-License-Identifier: MIT"""
import collections
import os

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.path.join(ROOT, 'build')
DRIVERS = os.path.join(BUILD, 'bench')
SHARED = os.path.join(HERE, 'src')
LOAD = os.path.join(DRIVERS, 'load')


# A command and its environment variables.
Driver = collections.namedtuple('Driver', 'command environment', defaults=({},))


def c(name):
    return Driver([os.path.join(DRIVERS, name)])


def lua(version, name):
    """A driver in Lua, with the module of build/bench-VERSION first on its path."""
    interpreter = version if version == 'luajit' else 'lua' + version
    return Driver([interpreter, os.path.join(HERE, 'peers', name)], {
        'LUA_PATH': '%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua;;' % (ROOT, ROOT, SHARED),
        'LUA_CPATH': '%s/bench-%s/?.so;%s/%s/?.so;;' % (BUILD, version, DRIVERS, version),
    })


def python(name):
    return Driver(['/usr/bin/python3', '-B', os.path.join(HERE, 'peers', name)],
                  {'PYTHONPATH': SHARED})


LOAD = c('load')

PEERS = {
    'raw': c('raw'),
    'zmqloop 5.4': lua('5.4', 'zmqloop.lua'),
    'zmqloop luajit': lua('luajit', 'zmqloop.lua'),
    'service 5.4': lua('5.4', 'serve.lua'),
    'service luajit': lua('luajit', 'serve.lua'),
    'zmqloop C': c('core'),
    'zloop': c('zloop'),
    'ZMQStream': python('zmqstream.py'),
    'asyncio': python('zmqasyncio.py'),
    'libuv': c('uv'),
    'luv 5.4': lua('5.4', 'luv.lua'),
    'luv luajit': lua('luajit', 'luv.lua'),
    'cqueues': lua('5.4', 'cqueues.lua'),
}
