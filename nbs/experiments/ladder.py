"Four models on four small kinds of puzzles: hrm_lit --use nbs/experiments/ladder.py train ladder-hrm-sudoku-6x6 --seed 1000"
from dataclasses import replace
from hrm_lit.experiment_command import SEEDS, experiments, trials
from hrm_lit.halting import Correctness, QLearning
from hrm_lit.recipes import recipes

STEPS = {'trm-sudoku-4x4': 1500, 'trm-sudoku-6x6': 2500, 'maze-small': 2500, 'arc-mini': 3000}  # the same for all four models

def rungs(base, steps):
    "From one pass to HRM and TRM, each with the data, rates and segments of a recipe of TRM."
    model = replace(base.model, dtype='bfloat16')
    many = base.halting.max_segments
    base = replace(base, model=model, train=replace(base.train, steps=steps, eval_every=steps // 5, save_every=steps // 5))
    one_pass = replace(model, wiring='recurrent', H_cycles=1, L_cycles=0, layers=4)
    return {'direct': replace(base, model=one_pass, halting=Correctness(1)),  # four layers, once
            'recurrent': replace(base, model=one_pass),  # the same four layers, up to `many` segments
            'hrm': replace(base, model=replace(model, wiring='hrm'), halting=QLearning(many, exploration=0.5)),  # 2 + 2 layers
            'trm': base}  # 2 layers

for name, steps in STEPS.items():
    task = name.removeprefix('trm-')
    recipes |= {f'ladder-{rung}-{task}': recipe for rung, recipe in rungs(recipes[name], steps).items()}
experiments['ladder'] = trials([f'ladder-{rung}-{name.removeprefix("trm-")}' for name in STEPS for rung in ('trm', 'hrm', 'recurrent', 'direct')], SEEDS)
