"""The results as one self-contained page of HTML. SPDX-License-Identifier: MIT"""
import html

import charts
import report

STYLE = '''
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 88em; padding: 0 1em;
       color: #222 }
h2 { margin-top: 2.5em; border-top: 1px solid #ddd; padding-top: 1em }
svg { max-width: 100%; height: auto }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 12px; margin: 1em 0 }
th, td { padding: 1px 11px 1px 0; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
th { border-bottom: 1px solid #999; font-weight: 600 }
tr:hover td { background: #f3f6fa }
.met { color: #1a7f37 } .missed { color: #cf222e }
.note { color: #666; font-size: 13px }
'''

DOCUMENT = '''<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>zmqloop: benchmarks</title>
<style>%s</style></head><body>
<h1>zmqloop: benchmarks</h1>
%s
</body></html>
'''


def element(name, text, attributes=''):
    return '<%s%s>%s</%s>' % (name, attributes, text, name)


def cell(name, text):
    return element(name, html.escape(text),
                   ' class="%s"' % text if text in ('met', 'missed') else '')


def rows(found):
    """A table from rows of text; the first row is the header."""
    lines = [''.join(cell('td' if number else 'th', text) for text in row)
             for number, row in enumerate(found)]
    table = element('table', '\n'.join(element('tr', line) for line in lines))
    return element('div', table, ' class="wide"')


def note(text):
    return element('p', html.escape(text), ' class="note"')


def section(table, runs, about):
    yield element('h2', html.escape('%s: %s' % (table.name, table.title)), ' id="%s"' % table.name)
    yield note(about)
    yield charts.chart(table, runs)
    yield rows(report.figures(table, runs))
    if table.base:
        yield rows(report.comparisons(table, runs))
    if table.targets:
        yield rows([report.TARGET_HEADER, *report.targets(table, runs)])


def page(results, about):
    """All tables that have results, by name; about holds the text for each."""
    parts = [note('Medians (least - greatest). Bars are medians, black lines go from the least to '
                  'the greatest value, red marks are targets; ratios are to the grey bar, or to '
                  'the line without idle sockets, more is better.'),
             charts.overview(results, ''),
             element('h2', 'Targets'), rows(report.summary(results))]
    for table, runs in results.values():
        parts += section(table, runs, about[table.name])
    return DOCUMENT % (STYLE, '\n'.join(parts))
