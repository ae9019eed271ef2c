"""One small training with some ingredients of the fast recipe: which of them pays?

  python nbs/experiments/ingredients.py ARM --seed S --steps N --out DIR

ARM names its ingredients: `base` (none: the recipe as it is), `muon`, `muon+gate`, ..., `all`, or `all-gate` (all but one).
The rest is the recipe (--recipe, trm-sudoku-6x6 unless told otherwise; --lr for another rate of AdamATan2).
DIR/ARM-SEED.json gets losses, held-out exact accuracy and CPU seconds. Losses of arms with smoothing cannot be compared with those of arms without.
"""
import argparse, json, math, os, platform, shlex, subprocess, sys, time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
import torch
from hrm_lit.batches import Batches
from hrm_lit.curriculum import cycles, depth
from hrm_lit.domains import load_data
from hrm_lit.evaluation import evaluate
from hrm_lit.losses import losses
from hrm_lit.model import Reasoner, parameter_count, segment_flops
from hrm_lit.muon import MuonAndAdam
from hrm_lit.optim import warmup_cosine
from hrm_lit.recipes import find_recipe, fitted, to_dict
from hrm_lit.training import TrainState, averages, train_step

INGREDIENTS = ('muon', 'gate', 'smoothing', 'curriculum')
MUON = dict(lr=0.02, weight_decay=0.005)  # arXiv 2601.19085
SMOOTHING = 0.2  # arXiv 2601.19085

def ingredients(arm):
    "'base' -> none, 'muon+gate' -> these two, 'all' -> all, 'all-gate' -> all but one."
    first, *without = arm.split('-')
    chosen = {'base': [], 'all': list(INGREDIENTS)}.get(first, first.split('+'))
    for name in (*chosen, *without):
        if name not in INGREDIENTS: raise SystemExit(f'{name!r} is no ingredient: expected some of {", ".join(INGREDIENTS)} in {arm!r}')
    return [name for name in chosen if name not in without]

def arm_recipe(arm, name, steps, lr):
    "The recipe with the parts of an arm that a configuration can hold."
    recipe, chosen = find_recipe(name), ingredients(arm)
    train = replace(recipe.train, steps=steps or recipe.train.steps, lr=lr or recipe.train.lr, log_every=50)
    if 'smoothing' in chosen:
        losses[f'{train.loss}-smoothed'] = partial(losses[train.loss], smoothing=SMOOTHING)
        train = replace(train, loss=f'{train.loss}-smoothed')
    return replace(recipe, model=replace(recipe.model, gate='normed' if 'gate' in chosen else 'silu'), train=train)

def start(recipe, chosen):
    "A fresh training state."
    torch.manual_seed(recipe.train.seed)
    state = TrainState.start(Reasoner(recipe.model), recipe.train)
    if 'muon' in chosen:
        cfg = recipe.train
        state.optimizer = MuonAndAdam(state.model, **MUON, adam_lr=cfg.lr, adam_betas=(cfg.beta1, cfg.beta2), adam_weight_decay=cfg.weight_decay)
    return state

def one_step(state, batch, recipe, chosen):
    "`train_step` with a rate for each group of parameters and the plan of this stage."
    cfg = recipe.train
    first, *more = state.optimizer.param_groups  # train_step sets the rate of the first group, from cfg.lr
    for group in more: group['lr'] = warmup_cosine(state.step + 1, group['base_lr'], cfg.warmup_steps, cfg.steps, cfg.lr_min_ratio)
    stage = cycles(state.model, *depth(recipe.model, state.step / cfg.steps)) if 'curriculum' in chosen else nullcontext()
    with stage: return train_step(state, batch, recipe.halting, replace(cfg, lr=first.get('base_lr', cfg.lr)))

def held_out(state, recipe, puzzles):
    "Exact accuracy after each segment, of the averaged weights and the full plan."
    with state.averaged() as model: return evaluate(model, puzzles, recipe.halting.max_segments).exact.tolist()

def run(arm, recipe, evaluations=8):
    "Train one arm; the rows of its curve, its final accuracy and what it cost."
    chosen, cfg, data = ingredients(arm), recipe.train, load_data(recipe.data)
    recipe = fitted(recipe, data)
    state, rows, sums, since, seconds = start(recipe, chosen), [], {}, 0, 0.
    batches, some = Batches(data.train, cfg.batch_size, cfg.seed, data.augment), data.test.some(range(min(250, len(data.test))))
    while state.step < cfg.steps:
        begun = time.process_time()
        metrics = one_step(state, batches[state.step], recipe, chosen)
        seconds += time.process_time() - begun
        sums = {name: sums.get(name, 0) + value for name, value in metrics.items()}
        if state.step % cfg.log_every and state.step < cfg.steps: continue
        row = {'step': state.step, 'cpu_s': round(seconds, 1)} | averages(sums, cfg.batch_size * (state.step - since))
        if not math.isfinite(row['lm_loss']): raise SystemExit(f'the loss is {row["lm_loss"]} in step {state.step}')
        if state.step * evaluations // cfg.steps > since * evaluations // cfg.steps: row['held_out'] = held_out(state, recipe, some)[-1]
        sums, since = {}, state.step
        rows.append(row)
        print(arm, *(f'{name} {row[name]:.4g}' for name in ('step', 'lm_loss', 'exact_accuracy', 'held_out') if name in row), flush=True)
    exact = held_out(state, recipe, data.test)
    stages = [depth(recipe.model, step / cfg.steps) for step in range(cfg.steps)] if 'curriculum' in chosen else []
    cost = [segment_flops(replace(recipe.model, H_cycles=H, L_cycles=L)) for H, L in stages] or [segment_flops(recipe.model)]
    return dict(arm=arm, ingredients=chosen, seed=cfg.seed, steps=cfg.steps, parameters=parameter_count(recipe.model), held_out_boards=len(data.test),
                held_out=exact, cpu_s=round(seconds, 1), gflops_of_a_segment=sum(cost) / len(cost) / 1e9, rows=rows, recipe=to_dict(recipe))

def commit():
    "The commit of this checkout, with a + if it was changed."
    ask = ['git', '-C', str(Path(__file__).parent), 'describe', '--always', '--dirty=+']
    try: return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError): return None

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('arm'), parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--steps', type=int, default=0, help="0: the recipe's")
    parser.add_argument('--lr', type=float, default=0., help="of AdamATan2; 0: the recipe's")
    parser.add_argument('--recipe', default='trm-sudoku-6x6'), parser.add_argument('--out', type=Path, default=Path('ingredients'))
    args = parser.parse_args()
    recipe = arm_recipe(args.arm, args.recipe, args.steps, args.lr)
    result = run(args.arm, replace(recipe, train=replace(recipe.train, seed=args.seed)))
    result |= dict(command=shlex.join(['python', 'nbs/experiments/ingredients.py', *sys.argv[1:]]), commit=commit(), torch=torch.__version__,
                   machine=platform.machine(), threads=torch.get_num_threads(), made=time.strftime('%Y-%m-%d'))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / f'{args.arm}-{args.seed}.json').write_text(json.dumps(result))
    print(f'{args.arm}, seed {args.seed}: {result["held_out"][-1]:.1%} of {result["held_out_boards"]} held-out boards, {result["cpu_s"]} CPU seconds')
