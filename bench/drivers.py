"""The drivers: how each peer is started. SPDX-License-Identifier: MIT"""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.path.join(ROOT, 'build')
DRIVERS = os.path.join(BUILD, 'bench')
SHARED = os.path.join(HERE, 'src')
LOAD = os.path.join(DRIVERS, 'load')


def c(name):
    return [os.path.join(DRIVERS, name)]


def lua(interpreter, version, name):
    """A driver in Lua, with the module of build/bench-VERSION first on its path."""
    return [
        'env',
        'LUA_PATH=%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua;;' % (ROOT, ROOT, SHARED),
        'LUA_CPATH=%s/bench-%s/?.so;%s/%s/?.so;;' % (BUILD, version, DRIVERS, version),
        interpreter,
        os.path.join(HERE, 'peers', name),
    ]


def python(name):
    return ['env', 'PYTHONPATH=' + SHARED, '/usr/bin/python3', '-B',
            os.path.join(HERE, 'peers', name)]


PEERS = {
    'raw': c('raw'),
    'zmqloop 5.4': lua('lua5.4', '5.4', 'zmqloop.lua'),
    'zmqloop luajit': lua('luajit', 'luajit', 'zmqloop.lua'),
    'zmqloop C': c('core'),
    'zloop': c('zloop'),
    'ZMQStream': python('zmqstream.py'),
    'asyncio': python('zmqasyncio.py'),
    'libuv': c('uv'),
    'luv 5.4': lua('lua5.4', '5.4', 'luv.lua'),
    'luv luajit': lua('luajit', 'luajit', 'luv.lua'),
    'cqueues': lua('lua5.4', '5.4', 'cqueues.lua'),
}
