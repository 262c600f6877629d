"""Charts of tables, and the overview that README.md shows, as SVG. SPDX-License-Identifier: MIT"""
import io
import statistics
import textwrap

import matplotlib
import report
from cases import OVERVIEW

matplotlib.use('svg')
matplotlib.rcParams.update({
    'svg.fonttype': 'none', 'svg.hashsalt': 'zmqloop', 'font.size': 9,
    'font.family': 'sans-serif', 'font.sans-serif': ['DejaVu Sans', 'Verdana', 'sans-serif'],
    'axes.spines.top': False, 'axes.spines.right': False,
    'axes.titlesize': 9, 'xtick.color': '#555555', 'axes.edgecolor': '#999999'})

from matplotlib import pyplot  # noqa: E402: after its settings

OURS, BASE, OTHER, TARGET = '#1f77b4', '#555555', '#bbbbbb', '#d62728'
ON_WHITE = {'facecolor': 'white', 'edgecolor': 'none', 'alpha': 0.8, 'pad': 0.5}
ROW_INCHES, PANEL_INCHES = 0.26, 3.2


def to_svg(figure):
    out = io.StringIO()
    figure.savefig(out, format='svg', bbox_inches='tight', metadata={'Date': None})
    pyplot.close(figure)
    text = out.getvalue()
    return text[text.index('<svg'):]  # without the XML prologue, to be part of a page


# ---- one table: bars -----------------------------------------------------------------------------

def charted(table):
    """The figures that are compared or have a target."""
    wanted = {figure.title for target in table.targets for figure in target.figures}
    return [f for f in table.figures if f.ratio or f.title in wanted]


def colour(table, line):
    if line.name.startswith('zmqloop'):
        return OURS
    return BASE if line.name == table.base else OTHER


def wanted_value(target, figure, runs):
    """The target in the figure's unit, or None."""
    if not target.base:
        return target.bound
    base = report.values(runs, target.base, figure)
    if not base:
        return None
    base = statistics.median(base)
    return base / target.bound if figure.less else base * target.bound


def draw_panel(axes, table, figure, runs):
    for row, line in enumerate(table.lines):
        values = report.values(runs, line.name, figure)
        if not values:
            continue
        middle = statistics.median(values)
        axes.barh(row, middle, color=colour(table, line), height=0.7)
        axes.plot([min(values), max(values)], [row, row], color='black', linewidth=0.8)
        text = figure.form(middle)
        ratios = report.base_ratios(table, runs, line, figure)
        if figure.ratio and ratios:
            text += ' (%s)' % report.ratio_form(statistics.median(ratios))
        axes.annotate(text, (max(values), row), (4, 0), textcoords='offset points', va='center',
                      fontsize=8, zorder=3, bbox=ON_WHITE)
    for target in table.targets:
        value = figure in target.figures and wanted_value(target, figure, runs)
        if value:
            row = [line.name for line in table.lines].index(target.line)
            axes.vlines(value, row - 0.45, row + 0.45, color=TARGET, linewidth=1.5, zorder=2)
    axes.set_title('%s, %s is better' % (figure.title, 'less' if figure.less else 'more'))
    axes.set_xlim(0, axes.get_xlim()[1] * 1.25)
    axes.xaxis.set_major_locator(pyplot.MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda value, _: figure.form(value))


def chart(table, runs):
    """One panel per figure, one bar per line: the median with its range, the ratio to the base in
    brackets, and a red mark at the target."""
    figures = charted(table)
    size = (PANEL_INCHES * len(figures) + 1.5, ROW_INCHES * len(table.lines) + 0.8)
    canvas, panels = pyplot.subplots(1, len(figures), sharey=True, squeeze=False, figsize=size)
    for axes, figure in zip(panels[0], figures):
        draw_panel(axes, table, figure, runs)
        axes.tick_params(axis='y', length=0)
    panels[0][0].set_yticks(range(len(table.lines)), [line.name for line in table.lines])
    panels[0][0].invert_yaxis()
    canvas.tight_layout(w_pad=2)
    return to_svg(canvas)


# ---- the overview: a mark for each peer ----------------------------------------------------------

MARKS = {'zmqloop 5.4': ('o', OURS), 'zmqloop luajit': ('D', '#17406d'),
         'czmq zloop': ('s', '#ff7f0e'), 'PyZMQ ZMQStream': ('v', '#d62728'),
         'PyZMQ asyncio': ('P', '#9467bd'), 'luv 5.4': ('s', '#ff7f0e'),
         'luv luajit': ('D', '#a65628'), 'cqueues': ('^', '#2ca02c'),
         'asyncio': ('P', '#9467bd'), 'tornado': ('v', '#d62728')}


def median_ratios(row, peers, results):
    """The ratios of the peers to the base of a row, where measured."""
    found = {}
    if row.table in results:
        table, runs = results[row.table]
        lines = {line.name: line for line in table.lines}
        figure = next(f for f in table.figures if f.title == row.figure)
        for peer in peers:
            line = lines.get(peer + row.suffix) or lines.get(peer)
            ratios = line and report.base_ratios(table, runs, line, figure)
            if ratios:
                found[peer] = statistics.median(ratios)
    return found


def draw_overview(axes, part, results):
    for number, row in enumerate(part.rows):
        for peer, ratio in median_ratios(row, part.peers, results).items():
            mark, shade = MARKS[peer]
            axes.plot(ratio, number, mark, color=shade, markersize=7, markeredgecolor='white',
                      markeredgewidth=0.6, zorder=2 + peer.startswith('zmqloop'))
    for peer in part.peers:
        mark, shade = MARKS[peer]
        axes.plot([], [], mark, color=shade, markersize=7, label=peer)
    axes.axvline(1, color=BASE, linewidth=1, zorder=1)
    axes.set_xscale('log')
    axes.xaxis.set_major_formatter(lambda value, _: '%g' % value)
    axes.grid(color='#eeeeee')
    axes.set_axisbelow(True)
    axes.set_yticks(range(len(part.rows)), [row.title for row in part.rows])
    axes.tick_params(axis='y', length=0)
    axes.set_ylim(len(part.rows) - 0.5, -0.5)
    axes.set_title(part.title, loc='left')
    axes.legend(loc='center left', bbox_to_anchor=(1.01, 0.5), frameon=False)


def overview(results, subtitle):
    """The overview in README.md: medians of ratios, on a logarithmic scale."""
    heights = [len(part.rows) for part in OVERVIEW]
    canvas, panels = pyplot.subplots(len(OVERVIEW), 1, figsize=(8.6, 0.3 * sum(heights) + 1.6),
                                     gridspec_kw={'height_ratios': heights})
    for axes, part in zip(panels, OVERVIEW):
        draw_overview(axes, part, results)
    canvas.tight_layout(h_pad=1.5)
    canvas.text(0.01, 0, '\n'.join(textwrap.wrap(subtitle, 130)), fontsize=7, color='#555555',
                va='top')
    return to_svg(canvas)
