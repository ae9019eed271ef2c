"Takuzu, a puzzle that hrm_lit does not know: hrm_lit --use takuzu.py train trm-takuzu"
from dataclasses import replace
import numpy as np
import torch
from hrm_lit.puzzles import Puzzles, as_grid
from hrm_lit.symmetry import dihedral, random_relabellings, relabel
from hrm_lit.domains import DataConfig, Domain, by_rules, domains, generated_by, read_marks
from hrm_lit.recipes import recipes

MARKS = '?.01'  # token 0 is PAD, 1 a blank cell, 2 the digit 0, 3 the digit 1
BLANK, ZERO, ONE = 1, 2, 3

def all_lines(side):
    "Every row that keeps the rules, (lines, side) of 0 and 1."
    lines = np.arange(2**side)[:, None] >> np.arange(side)[::-1] & 1
    threes = lines[:, :-2] + lines[:, 1:-1] + lines[:, 2:]
    return lines[(lines.sum(1) == side // 2) & (threes % 3 > 0).all(1)]

def all_grids(side):
    "Every filled grid, (grids, side, side) of 0 and 1: an upper and a lower half whose columns are lines too."
    lines, half = all_lines(side), side // 2
    halves = lines[np.indices([len(lines)] * half).reshape(half, -1).T]  # each choice of `half` rows
    columns = ((1 << np.arange(half)) @ halves).astype(np.uint8)  # the columns of each, as numbers
    is_line = np.isin(np.arange(2**side), lines @ (1 << np.arange(side)))
    above, below = np.nonzero(is_line[columns[:, None] + (columns << half)].all(-1))
    return np.concatenate([halves[above], halves[below]], 1)

GRIDS = all_grids(6).reshape(-1, 36).astype(np.uint8) + ZERO  # tokens, (11222, 36)
BITS = 1 << np.arange(36)  # one for each cell
CODES = (GRIDS == ONE) @ BITS  # each grid as one integer

def answers(question):
    "Numbers of the grids that agree with all clues of a question."
    clues = question != BLANK
    return np.flatnonzero((GRIDS[:, clues] == question[clues]).all(1))

def make(numbers, count, rng, short=0):
    "Questions from these grids with no clue to spare; the last `short` of them lack one more."
    chosen, questions = rng.choice(numbers, count), []
    for i, number in enumerate(chosen):
        differ, clues = CODES ^ CODES[number], BITS.sum()
        for cell in rng.permutation(BITS):
            if (differ & (clues ^ cell) == 0).sum() == 1: clues ^= cell
        if i >= count - short: clues ^= rng.choice(BITS[BITS & clues > 0])
        questions.append(np.where(BITS & clues, GRIDS[number], BLANK))
    return Puzzles.from_pairs(np.stack(questions), GRIDS[chosen], len(MARKS))

TURNS = np.stack([dihedral(np.arange(36).reshape(6, 6), t).ravel() for t in range(8)])  # (8, 36) cell numbers

def augment(inputs, labels, generator=None):
    "Turn or mirror each pair in its own way, and swap 0 and 1 in half of them; (B, 36) tensors."
    count, device = len(inputs), inputs.device
    turns = torch.from_numpy(TURNS).to(device)[torch.randint(8, (count,), generator=generator, device=device)]
    swaps = random_relabellings(2, 2, count, generator, device)  # tokens 0 and 1 stay, 2 and 3 are shuffled
    return tuple(relabel(tokens.gather(1, turns), swaps) for tokens in (inputs, labels))

TURNED = GRIDS[:, TURNS]  # (11222, 8, 36)
FAMILIES = ((np.concatenate([TURNED, ZERO + ONE - TURNED], 1) == ONE) @ BITS).min(1)  # smallest code of 16 images

def split(rng):
    "Numbers of the grids to train on, and of those to hold out: a fifth of all families."
    names = rng.permutation(np.unique(FAMILIES))
    held_out = np.isin(FAMILIES, names[:len(names) // 5])
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)

def wrong_takuzu(question, answer):
    "The first rule that an answer breaks; '' if it breaks none."
    clues = question != BLANK
    changed = (clues & (answer != question)).sum()
    if changed: return f'{changed} of {clues.sum()} clues are changed'
    for name, grid in (('row', as_grid(answer)), ('column', as_grid(answer).T)):
        for number, line in enumerate(grid, 1):
            said = ''.join(MARKS[token] for token in line)
            if '000' in said or '111' in said: return f'{name} {number} is {said}, with three alike side by side'
            if sorted(said) != list('000111'): return f'{name} {number} is {said}, not three 0 and three 1'
    return ''

def read_takuzu(text):
    "36 characters '.', '0' or '1', with blanks and newlines anywhere."
    return read_marks(text, MARKS, 36)

def note_takuzu(question):
    "What to say about a question that has not one answer."
    count = len(answers(question))
    return '' if count == 1 else f'The puzzle has {count or "no"} answers.'

def make_takuzu(cfg):
    "Training questions, test questions of which a fifth are one clue short, and the number of other answers to each of these."
    rng = np.random.default_rng(cfg.data_seed)
    for_training, held_out = split(rng)
    train, test = make(for_training, cfg.train_size, rng), make(held_out, cfg.test_size, rng, cfg.test_size // 5)
    return train, test, np.array([len(answers(question)) - 1 for question in test.inputs])

domains['takuzu'] = Domain(generated_by(make_takuzu, augment), read_takuzu, wrong_takuzu, MARKS, by_rules(wrong_takuzu), note_takuzu,
                           text=('', '', '0', '1'), thing='grids', generated=True)

base = recipes['trm-sudoku-6x6']
recipes['trm-takuzu'] = replace(base, data=DataConfig('takuzu', 4000, 1000), train=replace(base.train, steps=2000),
                                model=replace(base.model, vocab_size=4, box=(1, 6)))
