"""What more compute at test time buys: points for chapter 16d, as JSON.

python nbs/experiments/scaling.py CHECKPOINT OUT --symbols 6 [--noise 0.3] [--limit 500] [--versions 8] [--segments 16]

Held-out puzzles as `hrm_lit eval` takes them. Each way is run once, with the most versions and segments; fewer are read off the same tables.
"""
import argparse
import sys
from pathlib import Path

from hrm_lit.checkpoints import write_json
from hrm_lit.evaluation import choose
from hrm_lit.hub import read_checkpoint
from hrm_lit.runs import provenance
from hrm_lit.scaling import Versions, scaling_points, try_versions
from hrm_lit.score_commands import load_for
from hrm_lit.training import pick_device

args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
args.add_argument('checkpoint'), args.add_argument('out', type=Path)
args.add_argument('--data', type=Path, help='where the puzzles are, if they are not generated')
args.add_argument('--symbols', type=int, default=0, help='tokens that may be renamed, the last of the vocabulary; 9 for Sudoku')
args.add_argument('--noise', type=float, nargs='*', default=[0.3])
args.add_argument('--limit', type=int, default=500), args.add_argument('--versions', type=int, default=8)
args.add_argument('--segments', type=int, default=16), args.add_argument('--batch-size', type=int, default=256)
args.add_argument('--device', default='cpu')
args = args.parse_args()

device = pick_device(args.device)
made = read_checkpoint(args.checkpoint, device)
test, _ = choose(load_for(made, args.data).test, None, args.limit)
ways = {'renaming': Versions(args.versions, symbols=args.symbols)} if args.symbols else {}
ways |= {f'noise {sigma:g}': Versions(args.versions, noise=sigma) for sigma in args.noise}
counts = [2**i for i in range(args.versions.bit_length())]
points, rescued = {}, {}
for name, versions in ways.items():
    trials = try_versions(made.model, test, made.recipe.halting, args.segments, versions, args.batch_size, progress=True)
    points[name] = [point._asdict() for point in scaling_points(trials, counts)]
    at_end = trials.solved[:, :, -1]
    rescued[name] = at_end[~at_end[:, 0]].sum(1).tolist()  # of each puzzle that the first version loses: how many of the others solve it
command = 'python nbs/experiments/scaling.py ' + ' '.join(sys.argv[1:])
write_json(dict(checkpoint=args.checkpoint, step=made.step, task=made.recipe.data.task, puzzles=len(test), **provenance(device, command), points=points, rescued=rescued), args.out)
