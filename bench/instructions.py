"""Instructions of the loop's thread per message, timer or callback, counted by callgrind: figures
that do not depend on what else the machine does. The kernel's are not among them.

A figure is the difference between a long run and a short one, so that starting drops out. They
depend on compiler, libraries and interpreters, and the table of them names those: it is compared
only where they are the same.

SPDX-License-Identifier: MIT
"""
import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile

import drivers
import measure
from cases import BOTH, Line, Workload

TABLE = os.path.join(drivers.HERE, 'instructions.txt')
TOLERANCE = 0.03

# name, workload, options, length of the short run and of the long one
Case = collections.namedtuple('Case', 'workload options few many')

CHECKED = {'checked': 100}
FLOOD = Workload('sink', 'push', 'inproc', False, CHECKED)
CASES = {
    'sink': Case(FLOOD, {}, 5000, 25000),
    'sink-unpack': Case(FLOOD, {'unpack': 1}, 5000, 25000),
    'pub': Case(Workload('pub', 'sub', 'inproc', False, CHECKED), {}, 5000, 25000),
    'echo': Case(Workload('echo', 'req', 'inproc', False, CHECKED), {'unpack': 1}, 1000, 5000),
    'timer': Case(Workload('all_due'), {'span_ms': 20}, 2000, 10000),
    'callback': Case(Workload('batch'), {}, 5000, 25000),
    'callback-chain': Case(Workload('chain'), {}, 5000, 25000),
}


def count_instructions(line, count, directory):
    out = os.path.join(directory, 'callgrind')
    measure.run(line, count, directory, under=[
        'valgrind', '--tool=callgrind', '--separate-threads=yes', '--smc-check=all',
        '--fair-sched=yes', '--callgrind-out-file=' + out])
    with open(out + '-01') as f:  # of the first thread
        return int(re.search(r'^(?:totals|summary): (\d+)', f.read(), re.M).group(1))


def per_item(name, peer, directory):
    case = CASES[name]
    line = Line(name, peer, case.workload, case.many, case.options)
    few, many = (count_instructions(line, count, directory) for count in (case.few, case.many))
    return (many - few) / (case.many - case.few)


# ---- the table ---------------------------------------------------------------------------------

def first_line(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.strip().split('\n')[0]


def versions():
    """What the figures depend on."""
    with open('/proc/cpuinfo') as f:
        avx2 = 'with' if ' avx2 ' in f.read() else 'without'
    return ['%s, %s AVX2' % (os.uname().machine, avx2), first_line('cc', '--version'),
            first_line('ldd', '--version'),
            'libzmq ' + first_line('pkg-config', '--modversion', 'libzmq'),
            first_line('lua5.4', '-v').split('  ')[0],
            re.sub(r' --.*', '', first_line('luajit', '-v')), first_line('valgrind', '--version')]


def read_table():
    """The versions and the figures by (name, peer)."""
    found, figures = [], {}
    with open(TABLE) as f:
        for row in f.read().split('\n'):
            if row.startswith('# '):
                found.append(row[2:])
            elif row:
                name, *numbers = row.split()
                if numbers[0].isdigit():
                    figures.update({(name, peer): int(n) for peer, n in zip(BOTH, numbers)})
    return found, figures


def write_table(figures):
    with open(TABLE, 'w') as f:
        f.write(''.join('# %s\n' % version for version in versions()))
        f.write('%-16s %12s %16s\n' % ('per', *(peer.replace(' ', '-') for peer in BOTH)))
        for name in CASES:
            f.write('%-16s %12d %16d\n' % (name, *(round(figures[name, peer]) for peer in BOTH)))


def check(figures):
    """Prints what differs from the table; returns how many are too many."""
    _, wanted = read_table()
    worse = 0
    for (name, peer), figure in figures.items():
        before = wanted[name, peer]
        change = figure / before - 1
        if change > TOLERANCE:
            worse += 1
            print('%s, %s: %.0f instructions, %.1f %% more than %d'
                  % (name, peer, figure, change * 100, before))
        elif change < -TOLERANCE:
            print('%s, %s: %.0f instructions, %.1f %% fewer than %d: please update the table '
                  '(scripts/bench --callgrind all --write)'
                  % (name, peer, figure, -change * 100, before))
    return worse


# ---- main --------------------------------------------------------------------------------------

def arguments():
    parser = argparse.ArgumentParser(prog='scripts/bench --callgrind')
    parser.add_argument('cases', metavar='CASE', nargs='+', choices=['all', *CASES])
    parser.add_argument('--write', action='store_true', help='to bench/instructions.txt')
    parser.add_argument('--check', action='store_true',
                        help='fail if there are %d %% more than in that' % (TOLERANCE * 100))
    options = parser.parse_args()
    if 'all' in options.cases:
        options.cases = list(CASES)
    if options.write and set(options.cases) != set(CASES):
        parser.error('--write wants all')
    return options


def same_versions():
    wanted = read_table()[0]
    if wanted == versions():
        return True
    print('not compared: the table was made with %s; here there is %s'
          % ('; '.join(wanted), '; '.join(versions())))
    return False


def main():
    options = arguments()
    if options.check and not same_versions():
        return
    figures = {}
    with tempfile.TemporaryDirectory() as directory:
        for name in options.cases:
            for peer in BOTH:
                try:
                    figures[name, peer] = per_item(name, peer, directory)
                except measure.Wrong as error:
                    sys.exit('WRONG %s, %s: %s' % (name, peer, error))
                print('%-16s %-16s %6.0f' % (name, peer, figures[name, peer]), flush=True)
    if options.write:
        write_table(figures)
    if options.check and check(figures) > 0:
        sys.exit(1)


if __name__ == '__main__':
    main()
