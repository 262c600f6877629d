"""Runs benchmark cases and prints their tables: see README.md.

SPDX-License-Identifier: MIT
"""
import argparse
import json
import os
import sys
import tempfile

import cases
import drivers
import measure
import report

QUICK = {'scale': 0.001, 'repetitions': 1}
QUICK_SPAN_MS, QUICK_IDLE = 20, 100
LEAST = 60  # messages or timers of a run
RESULTS = os.path.join(drivers.HERE, 'results')


def take(table, line, scale, directory):
    if table.name == 'syscalls':
        return measure.count_calls(line, max(4000, int(line.count * scale)), directory)
    return measure.run(line, max(min(line.count, LEAST), int(line.count * scale)), directory)


def run_table(table, repetitions, scale, directory):
    """All runs of a table by line, None for a wrong one; and the number of wrong ones."""
    runs = {line.name: [] for line in table.lines}
    wrong = 0
    for repetition in range(repetitions):
        # Lines that are compared stay neighbours; which comes first alternates.
        for line in table.lines if repetition % 2 == 0 else reversed(table.lines):
            try:
                runs[line.name].append(take(table, line, scale, directory))
            except measure.Wrong as error:
                runs[line.name].append(None)
                wrong += 1
                print('WRONG %s, %s: %s' % (table.name, line.name, error), file=sys.stderr)
    return runs, wrong


def hasten(table):
    """The table with short waits, few idle sockets and one start."""
    lines = []
    for line in table.lines:
        options = {**line.options, 'span_ms': QUICK_SPAN_MS,
                   'idle': min(line.options.get('idle', 0), QUICK_IDLE)}
        count = 1 if line.workload.load == 'startup' else line.count
        lines.append(line._replace(options=options, count=count))
    return table._replace(lines=lines)


def save(table, runs):
    os.makedirs(RESULTS, exist_ok=True)
    with open(os.path.join(RESULTS, table.name + '.json'), 'w') as f:
        json.dump({'table': table.name, 'title': table.title,
                   'machine': ' '.join(os.uname()[2:]), 'cores': len(measure.CORES),
                   'runs': runs}, f, indent=1)


def arguments():
    parser = argparse.ArgumentParser(prog='scripts/bench')
    parser.add_argument('cases', metavar='CASE', nargs='*', help=', '.join(cases.CASES))
    parser.add_argument('--repetitions', type=int, default=7)
    parser.add_argument('--scale', type=float, default=1.0, help='of the numbers of messages')
    parser.add_argument('--quick', action='store_true',
                        help='only prove that everything runs and arrives')
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    unknown = [name for name in options.cases if name not in cases.CASES]
    if unknown:
        parser.error('no case %s; there are %s' % (unknown[0], ', '.join(cases.CASES)))
    return options


def main():
    options = arguments()
    measure.allow_descriptors()
    count, wrong = 0, 0
    with tempfile.TemporaryDirectory() as directory:
        for table in (t for name in options.cases or cases.CASES for t in cases.CASES[name]()):
            if options.quick:
                table = hasten(table)
            runs, failed = run_table(table, options.repetitions, options.scale, directory)
            count += sum(map(len, runs.values()))
            wrong += failed
            if not options.quick:
                report.print_table(table, runs, options.repetitions)
                save(table, runs)
    if options.quick:
        print('%d passed, %d failed' % (count - wrong, wrong))
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
