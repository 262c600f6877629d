"""Runs benchmark cases and prints their tables: see README.md.

SPDX-License-Identifier: MIT
"""
import argparse
import json
import os
import sys
import tempfile
import time

import cases
import drivers
import measure
import report
import system

QUICK = {'scale': 0.001, 'repetitions': 1}
QUICK_SPAN_MS, QUICK_IDLE = 20, 100
LEAST = 60  # messages or timers of a run
RESULTS = os.path.join(drivers.HERE, 'results')
PAGE = os.path.join(RESULTS, 'index.html')
CHART = os.path.join(drivers.ROOT, 'docs', 'bench.svg')


def take(table, line, scale, directory):
    if table.name == 'syscalls':
        return measure.count_calls(line, max(4000, int(line.count * scale)), directory)
    return measure.run(line, max(min(line.count, LEAST), int(line.count * scale)), directory)


def run_table(table, repetitions, scale, directory):
    """All runs of a table by line, None for a failed one; and the number of failed ones."""
    runs = {line.name: [] for line in table.lines}
    wrong = 0
    for repetition in range(repetitions):
        # Lines that are compared run next to each other, in alternating order.
        for line in table.lines if repetition % 2 == 0 else reversed(table.lines):
            try:
                runs[line.name].append(take(table, line, scale, directory))
            except measure.Wrong as error:
                runs[line.name].append(None)
                wrong += 1
                print('WRONG %s, %s: %s' % (table.name, line.name, error), file=sys.stderr)
    return runs, wrong


def hasten(table):
    """The same table, made quick: short waits, few idle sockets, one start."""
    lines = []
    for line in table.lines:
        options = {**line.options, 'span_ms': QUICK_SPAN_MS,
                   'idle': min(line.options.get('idle', 0), QUICK_IDLE)}
        count = 1 if line.workload.load == 'startup' else line.count
        lines.append(line._replace(options=options, count=count))
    return table._replace(lines=lines)


# ---- results -----------------------------------------------------------------------------------

def path_of(table):
    return os.path.join(RESULTS, table.name + '.json')


def save(table, runs, repetitions):
    os.makedirs(RESULTS, exist_ok=True)
    about = '%s; %s; %s; repetitions: %d' % (
        time.strftime('%Y-%m-%d'), system.machine(),
        ', '.join([*system.versions(), *system.lua_versions().values()]), repetitions)
    with open(path_of(table), 'w') as f:
        json.dump({'table': table.name, 'title': table.title, 'about': about, 'runs': runs}, f,
                  indent=1)


def load():
    """All saved results by name: the tables, their runs, and the text about them."""
    results, about = {}, {}
    for table in (table for case in cases.CASES.values() for table in case()):
        if os.path.exists(path_of(table)):
            with open(path_of(table)) as f:
                saved = json.load(f)
            runs = {line.name: saved['runs'].get(line.name, []) for line in table.lines}
            results[table.name], about[table.name] = (table, runs), saved['about']
    return results, about


def draw(chart):
    """Writes the page from the saved results; with chart, also the overview in README.md."""
    import page  # wants matplotlib, which --quick does without
    results, about = load()
    if not results:
        sys.exit('there are no results')
    with open(PAGE, 'w') as f:
        f.write(page.page(results, about))
    print('wrote', PAGE)
    if chart:
        with open(CHART, 'w') as f:
            f.write(page.charts.overview(results, next(iter(about.values()))))
        print('wrote', CHART)


# ---- main --------------------------------------------------------------------------------------

def arguments():
    parser = argparse.ArgumentParser(prog='scripts/bench')
    parser.add_argument('cases', metavar='CASE', nargs='*', help=', '.join(cases.CASES))
    parser.add_argument('--repetitions', type=int, default=5, help='5 by default')
    parser.add_argument('--scale', type=float, default=1.0, help='of the numbers of messages')
    parser.add_argument('--quick', action='store_true',
                        help='only prove that everything runs and arrives')
    parser.add_argument('--redraw', action='store_true',
                        help='measure nothing, draw what was measured last')
    parser.add_argument('--chart', action='store_true',
                        help='write docs/bench.svg, too')
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    unknown = [name for name in options.cases if name not in cases.CASES]
    if unknown:
        parser.error('no case %s; there are %s' % (unknown[0], ', '.join(cases.CASES)))
    return options


def chosen(options):
    for name in options.cases or cases.CASES:
        for table in cases.CASES[name]():
            yield hasten(table) if options.quick else table


def run_all(options):
    """The results of the chosen tables by name, and how many runs failed."""
    results, wrong = {}, 0
    with tempfile.TemporaryDirectory() as directory:
        for table in chosen(options):
            runs, failed = run_table(table, options.repetitions, options.scale, directory)
            results[table.name] = table, runs
            wrong += failed
            if not options.quick:
                report.print_table(table, runs, options.repetitions)
                save(table, runs, options.repetitions)
    return results, wrong


def main():
    options = arguments()
    if options.redraw:
        draw(options.chart)
        return
    measure.allow_descriptors()
    results, wrong = run_all(options)
    if options.quick:
        count = sum(len(found) for _, runs in results.values() for found in runs.values())
        print('%d passed, %d failed' % (count - wrong, wrong))
    else:
        print('\nall targets:')
        report.print_rows(report.summary(results))
        draw(options.chart)
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
