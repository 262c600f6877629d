"""Tables of text. SPDX-License-Identifier: MIT"""
import statistics


def good(runs, line):
    return [run for run in runs[line] if run]


def values(runs, line, figure):
    found = (figure.value(run) for run in good(runs, line))
    return [value for value in found if value is not None]


def ratios(runs, line, base, figure):
    """How many times as good the line is as its base, for each repetition with both."""
    found = []
    for mine, other in zip(runs[line], runs[base]):
        a, b = (figure.value(run) if run else None for run in (mine, other))
        if a is not None and b is not None and a > 0 and b > 0:
            found.append(b / a if figure.less else a / b)
    return found


def base_ratios(table, runs, line, figure):
    """The line's ratios to its base, if it has one."""
    base = line.base or table.base
    return [] if base in (None, line.name) else ratios(runs, line.name, base, figure)


def spread(found, form):
    """Median (min - max)."""
    if not found:
        return ''
    if len(found) == 1:
        return form(found[0])
    return '%s (%s - %s)' % tuple(form(v) for v in (statistics.median(found), min(found),
                                                    max(found)))


def ratio_form(value):
    return '%.3f' % value if value < 10 else '%.1f' % value


def print_rows(rows):
    rows = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print('  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def figures(table, runs):
    """The rows of the table; the first is the header."""
    header = ['']
    for figure in table.figures:
        header += [figure.title, 'ratio'] if figure.ratio else [figure.title]
    yield header
    for line in table.lines:
        row = [line.name]
        for figure in table.figures:
            row.append(spread(values(runs, line.name, figure), figure.form))
            if figure.ratio:
                row.append(spread(base_ratios(table, runs, line, figure), ratio_form))
        yield row


def comparisons(table, runs):
    """zmqloop compared with all others: ratios of the medians of the first figure."""
    figure = table.figures[0]
    mine = [line.name for line in table.lines if line.name.startswith('zmqloop')]
    others = [line.name for line in table.lines if line.name not in mine]
    yield [figure.title + ', times as good as'] + others
    for line in mine:
        found = [ratios(runs, line, other, figure) for other in others]
        yield [line] + [ratio_form(statistics.median(f)) if f else '-' for f in found]


def verdict(target, runs):
    """Result, target, and whether it is met, as text."""
    if target.base:
        found = [ratios(runs, target.line, target.base, figure) for figure in target.figures]
        form, less, wanted = ratio_form, False, '>= %.3g of %s' % (target.bound, target.base)
    else:
        found = [values(runs, target.line, figure) for figure in target.figures]
        form, less = target.figures[0].form, target.figures[0].less
        wanted = '%s %g' % ('<=' if less else '>=', target.bound)
    if not all(found):
        return '', wanted, 'unknown'
    reached = [statistics.median(f) for f in found]
    met = all(value <= target.bound if less else value >= target.bound for value in reached)
    return ', '.join(map(form, reached)), wanted, 'met' if met else 'missed'


TARGET_HEADER = 'target', 'figure', 'median', 'wanted', ''


def targets(table, runs):
    for target in table.targets:
        yield (target.line, ' and '.join(figure.title for figure in target.figures),
               *verdict(target, runs))


def summary(results):
    """All targets of all tables."""
    yield 'table', *TARGET_HEADER
    for table, runs in results.values():
        for row in targets(table, runs):
            yield table.name, *row


def print_table(table, runs, repetitions):
    print('\n%s: %s\nmedians (least - greatest) of %d repetitions; ratios to %s, more is better'
          % (table.name, table.title, repetitions, table.base or 'the line without any'))
    print_rows(figures(table, runs))
    if table.base:
        print()
        print_rows(comparisons(table, runs))
    if table.targets:
        print()
        print_rows([TARGET_HEADER, *targets(table, runs)])
    print(end='', flush=True)
