"""Instructions of the loop's thread per message, timer or callback, counted by callgrind: figures
that do not depend on what else the machine does. The kernel's are not among them.

Drivers have callgrind dump the parts of a run by themselves (bench_begin() and bench_begin_part()
in src/bench.h), so that starting is not counted. The figures depend on compiler, libraries and
interpreters. The table of them names those: it is a test only where they are the same.

SPDX-License-Identifier: MIT
"""
import argparse
import collections
import concurrent.futures
import glob
import itertools
import math
import os
import re
import statistics
import sys
import tempfile

import drivers
import measure
import report
import system
from cases import BOTH, Line, Workload

TABLE = os.path.join(drivers.HERE, 'instructions.txt')
TOLERANCE = 0.03
THOROUGH = 3  # times to count where it matters
FORM = '%-16s %12s %16s'

# A driver's workload; and for each row of the table, the part of it that is counted and how many
# items that part has per unit of count.
Run = collections.namedtuple('Run', 'workload count rows')


def inproc(task, load, count, row, **options):
    workload = Workload(task, load, 'inproc', False, {'checked': 100, **options})
    return Run(workload, count, {row: ('window', 1)})


CASES = {
    'sink': [inproc('sink', 'push', 20000, 'sink'),
             inproc('sink', 'push', 20000, 'sink-unpack', unpack=1)],
    'router': [inproc('router', 'dealers', 20000, 'router', size=32)],
    # Without a pause it is chance how often one side finds the other asleep.
    'pub': [inproc('pub', 'sub', 5000, 'pub', pause_ms=1000)],
    'echo': [inproc('echo', 'req', 1000, 'echo-asleep', unpack=1, pause_ms=1),
             inproc('echo', 'req', 4000, 'echo-busy', unpack=1)],
    'timers': [Run(Workload('all_due', options={'span_ms': 20}), 10000,
                   {'timer-create': ('create_ns', 1), 'timer-fire': ('window', 1)}),
               Run(Workload('due', options={'span_ms': 20}), 10000,
                   {'timer-cancel': ('cancel_ns', 0.9)})],
    'callbacks': [Run(Workload('batch'), 20000, {'callback': ('window', 1)}),
                  Run(Workload('chain'), 20000, {'callback-chain': ('window', 1)})],
}

TARGETS = {'sink-unpack': (1350, 750), 'echo-busy': (5000, 4500)}

# Not in the table: it depends on which of two threads goes first.
UNSTEADY = {'echo-busy'}

# ---- counting ----------------------------------------------------------------------------------

VALGRIND = ['valgrind', '-q', '--tool=callgrind', '--separate-threads=yes', '--smc-check=all',
            '--fair-sched=yes']


def read_parts(pattern):
    """Instructions of the first thread by the name of the part."""
    found = {}
    for path in glob.glob(pattern):
        with open(path) as f:
            text = f.read()
        name = re.search(r'^desc: Trigger: Client Request: (.*)$', text, re.M)
        if name:
            found[name.group(1)] = int(re.search(r'^totals: (\d+)', text, re.M).group(1))
    return found


def count(run, peer):
    """Instructions per item by row."""
    with tempfile.TemporaryDirectory() as directory:
        out = os.path.join(directory, 'callgrind')
        line = Line(peer, peer, run.workload, run.count)
        try:
            measure.run(line, run.count, directory,
                        under=[*VALGRIND, '--callgrind-out-file=' + out], cores=measure.CORES)
        except measure.Wrong as error:
            raise measure.Wrong('%s, %s: %s' % (' '.join(run.rows), peer, error))
        parts = read_parts(out + '.*-01')
    return {row: parts[part] / (run.count * items) for row, (part, items) in run.rows.items()}


def count_all(names, times):
    """Medians of instructions by row and peer. Runs may share cores, because load does not change
    the counts; the seeds of Lua's hashes do, by 1 %."""
    todo = [(run, peer) for name in names for run in CASES[name] for peer in BOTH] * times
    found = collections.defaultdict(list)
    with concurrent.futures.ThreadPoolExecutor(len(measure.CORES)) as pool:
        for (_, peer), counts in zip(todo, pool.map(lambda task: count(*task), todo)):
            for row, figure in counts.items():
                found[row, peer].append(figure)
    return {key: statistics.median(figures) for key, figures in found.items()}


def rows_of(figures, left_out=()):
    return [row for row in dict.fromkeys(row for row, _ in figures) if row not in left_out]


# ---- the table ---------------------------------------------------------------------------------

def conditions():
    """The conditions that all columns depend on, and those of each peer's column."""
    common = [system.instruction_set(), *system.versions(),
              system.first_line('valgrind', '--version')]
    return common, system.lua_versions()


def write_table(figures):
    common, luas = conditions()
    with open(TABLE, 'w') as f:
        f.write(''.join('# %s\n' % line for line in (*common, *luas.values())))
        f.write(FORM % ('per', *(peer.replace(' ', '-') for peer in BOTH)) + '\n')
        for row in rows_of(figures, UNSTEADY):
            f.write(FORM % (row, *(round(figures[row, peer]) for peer in BOTH)) + '\n')


def read_table():
    """The conditions of the saved table, and its figures by row and peer."""
    made_with, figures = set(), {}
    with open(TABLE) as f:
        for line in f.read().split('\n'):
            if line.startswith('# '):
                made_with.add(line[2:])
            elif line and not line.startswith('per '):
                row, *numbers = line.split()
                figures.update({(row, peer): int(n) for peer, n in zip(BOTH, numbers)})
    return made_with, figures


def comparable(made_with):
    """The peers whose figures must match the table; prints which conditions differ."""
    common, luas = conditions()
    peers = [peer for peer in BOTH if {*common, luas[peer]} <= made_with]
    new = [line for line in (*common, *luas.values()) if line not in made_with]
    if new:
        print('note: %s was made without %s: figures of %s are not held to it'
              % (os.path.basename(TABLE), '; '.join(new),
                 ', '.join(peer for peer in BOTH if peer not in peers)))
    return peers


def check(figures):
    """Prints what differs from the table; returns the largest change among the peers checked."""
    made_with, wanted = read_table()
    peers = comparable(made_with)
    worst = 0
    for row, peer in itertools.product(rows_of(figures, UNSTEADY), BOTH):
        before = wanted.get((row, peer))
        change = figures[row, peer] / before - 1 if before else math.inf
        if abs(change) > TOLERANCE:
            print('%s%s, %s: %.0f instructions, %+.1f %% to the table'
                  % ('' if peer in peers else 'note: ', row, peer, figures[row, peer],
                     change * 100))
        if peer in peers:
            worst = max(worst, abs(change))
    return worst


# ---- main --------------------------------------------------------------------------------------

def print_figures(figures):
    rows = [('per', *BOTH, 'wanted')]
    for row in rows_of(figures):
        reached = [figures[row, peer] for peer in BOTH]
        bounds = TARGETS.get(row, ())
        verdicts = ['<= %d %s' % (bound, 'met' if figure <= bound else 'missed')
                    for figure, bound in zip(reached, bounds)]
        rows.append((row, *('%.0f' % figure for figure in reached), ', '.join(verdicts)))
    report.print_rows(rows)


def arguments():
    parser = argparse.ArgumentParser(prog='scripts/bench --callgrind')
    parser.add_argument('cases', metavar='CASE', nargs='+', choices=['all', *CASES],
                        help=', '.join(CASES) + ' or all')
    parser.add_argument('--write', action='store_true', help='to bench/instructions.txt')
    parser.add_argument('--check', action='store_true',
                        help='fail if one is more than %d %%%% away from those' % (TOLERANCE * 100))
    options = parser.parse_args()
    if 'all' in options.cases:
        options.cases = list(CASES)
    if options.write and set(options.cases) != set(CASES):
        parser.error('--write wants all')
    return options


def count_and_print(names, times):
    try:
        figures = count_all(names, times)
    except measure.Wrong as error:
        sys.exit('WRONG %s' % error)
    print_figures(figures)
    return figures


def main():
    options = arguments()
    measure.allow_descriptors()
    figures = count_and_print(options.cases, THOROUGH if options.write else 1)
    if options.write:
        write_table(figures)
    if options.check:
        worst = check(figures)
        if TOLERANCE < worst < 2 * TOLERANCE:
            print('\nonce more, %d times:' % THOROUGH)
            worst = check(count_and_print(options.cases, THOROUGH))
        if worst > TOLERANCE:
            sys.exit('if that is meant to be: scripts/bench --callgrind all --write')


if __name__ == '__main__':
    main()
