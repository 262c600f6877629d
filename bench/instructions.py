"""Instructions of the loop's thread per message of `sink`, counted by callgrind:
a figure that does not depend on what else the machine does. The kernel's are
not among them.

SPDX-License-Identifier: MIT
"""
import os
import re
import sys
import tempfile

import cases
import measure

FEW, MANY = 10000, 60000


def instructions(line, count, directory):
    out = os.path.join(directory, 'callgrind')
    measure.run(line, count, directory, under=[
        'valgrind', '--tool=callgrind', '--separate-threads=yes', '--smc-check=all',
        '--fair-sched=yes', '--trace-children=yes', '--callgrind-out-file=' + out])
    with open(out + '-01') as f:  # of the first thread
        return int(re.search(r'^totals: (\d+)', f.read(), re.M).group(1))


def main():
    names = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        print('instructions per message')
        for line in next(cases.sink()).lines:
            if line.peer == 'ZMQStream' or names and line.name not in names:
                continue
            try:
                few, many = (instructions(line, count, directory) for count in (FEW, MANY))
            except measure.Wrong as error:
                sys.exit('WRONG %s: %s' % (line.name, error))
            messages = (MANY - FEW) * 21 / 20  # with those that are checked
            print('%-24s %6.0f' % (line.name, (many - few) / messages), flush=True)


if __name__ == '__main__':
    main()
