"Which ingredient of the fast recipe pays? With and without each: hrm_lit --use nbs/experiments/ingredients.py experiment ingredients"
from dataclasses import replace
from hrm_lit.experiment_command import SEEDS, experiments, trials
from hrm_lit.recipes import recipes

FAST = dict(optimizer='muon'), dict(gate='normed')  # changes of TrainConfig, changes of ModelConfig
ARMS = {
    'base': ({}, {}),
    'muon': (FAST[0], {}),
    'gate': ({}, FAST[1]),
    'muon-gate': FAST,
    'muon-gate-slow': (FAST[0] | dict(muon_lr=0.005), FAST[1]),
    'muon-gate-smoothing': (FAST[0] | dict(label_smoothing=0.2), FAST[1]),
    'muon-gate-curriculum': (FAST[0] | dict(curriculum=True), FAST[1]),
    'muon-gate-no-ema': (FAST[0] | dict(ema=0.), FAST[1]),
    'muon-gate-rope': (FAST[0], FAST[1] | dict(positions='rope')),
}

fast = recipes['trm-mlp-sudoku-extreme-small']  # its net, halting and data, without its ingredients:
REAL = replace(fast, model=replace(fast.model, gate='silu'), train=replace(fast.train, optimizer='adam_atan2'))

def arm(name, base, steps):
    "A small recipe of TRM with the changes of an arm, in bfloat16."
    train, model = ARMS[name]
    return replace(base, model=replace(base.model, dtype='bfloat16', **model), train=replace(base.train, steps=steps, eval_every=steps // 4, save_every=steps // 4, **train))

recipes |= {f'ingredients-4x4-{name}': arm(name, recipes['trm-sudoku-4x4'], 400) for name in ARMS}
recipes |= {f'ingredients-6x6-{name}': arm(name, recipes['trm-sudoku-6x6'], 2000) for name in ('base', 'muon', 'muon-gate')}
recipes |= {f'ingredients-extreme-{name}': arm(name, REAL, 3000) for name in ('base', 'muon-gate')}
experiments['ingredients'] = trials([f'ingredients-4x4-{name}' for name in ARMS], SEEDS) + trials([f'ingredients-6x6-{name}' for name in ('base', 'muon', 'muon-gate')])
experiments['ingredients-extreme'] = trials([f'ingredients-extreme-{name}' for name in ('base', 'muon-gate')], segments=32)
