"Which ingredient of the fast recipe pays? 6x6 Sudoku with and without each: hrm_lit --use nbs/experiments/ingredients.py experiment ingredients"
from dataclasses import replace
from hrm_lit.experiment_command import SEEDS, experiments, trials
from hrm_lit.recipes import recipes

BASE = recipes['trm-sudoku-6x6']
MUON, GATE = dict(optimizer='muon'), dict(gate='normed')
ARMS = {  # changes of TrainConfig, changes of ModelConfig
    'base': ({}, {}),
    'muon': (MUON, {}),
    'gate': ({}, GATE),
    'muon-gate': (MUON, GATE),
    'slow-muon-gate': (MUON | dict(muon_lr=0.005), GATE),
    'muon-gate-smoothing': (MUON | dict(label_smoothing=0.2), GATE),
    'smoothing': (dict(label_smoothing=0.2), {}),
    'curriculum': (dict(curriculum=True), {}),
    'no-ema': (dict(ema=0.), {}),
    'rope': ({}, dict(positions='rope')),
}
for arm, (train, model) in ARMS.items():
    recipes[f'ingredients-{arm}'] = replace(BASE, model=replace(BASE.model, dtype='bfloat16', **model),
                                            train=replace(BASE.train, steps=2000, eval_every=500, save_every=500, **train))
experiments['ingredients'] = trials([f'ingredients-{arm}' for arm in ARMS], SEEDS)
