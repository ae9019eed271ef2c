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

def arm(name, board, steps):
    "A small recipe of TRM with the changes of an arm, in bfloat16."
    base, (train, model) = recipes[f'trm-sudoku-{board}'], ARMS[name]
    return replace(base, model=replace(base.model, dtype='bfloat16', **model), train=replace(base.train, steps=steps, eval_every=steps // 4, save_every=steps // 4, **train))

recipes |= {f'ingredients-4x4-{name}': arm(name, '4x4', 400) for name in ARMS}
recipes |= {f'ingredients-6x6-{name}': arm(name, '6x6', 2000) for name in ('base', 'muon', 'muon-gate')}
experiments['ingredients'] = trials([f'ingredients-4x4-{name}' for name in ARMS], SEEDS) + trials([f'ingredients-6x6-{name}' for name in ('base', 'muon', 'muon-gate')])
