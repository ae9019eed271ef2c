"""Measure our training step against the official sequence of operations, alternating, in processes of their own.

  python nbs/experiments/bench.py --baseline PATH/baseline.py [--models trm-att trm-mlp hrm] [--batch 32] [--threads 1]
         [--rounds 3] [--steps 2] [--device cpu] [--clock wall|cpu] [--compile no|nets|segment] [--variants] [--out FILE.json]

`baseline.py` takes --model --batch --dtype --device --threads --steps --warmup [--compile] and prints JSON with `s_median`.
Each round runs the baseline and then ours, with the same model, batch, dtype and threads; a round's ratio is that of its
two medians, and the result is the median of the rounds. On a machine that others use, take --threads 1 --clock cpu:
both programs then measure CPU seconds, which do not count the time that other processes took.
With --variants, each change of ours is also switched off by itself, in one process, steps alternating.
With --parts, only single operations are measured: attention written out and fused, by length; a product that fills
33.5 MB, in a new process with memory given back and kept; the optimizer, tensor by tensor and all at once (no baseline needed).
"""
import argparse, json, os, platform, resource, shlex, statistics, subprocess, sys, time
from pathlib import Path

RECIPES = {'trm-att': 'trm-att-sudoku-extreme', 'trm-mlp': 'trm-mlp-sudoku-extreme', 'hrm': 'hrm-sudoku-extreme'}
OURS = "from hrm_lit.bench_command import bench\nsys.exit(bench(sys.argv[1:]))"
THEIRS = "import runpy\nsys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')"
CLOCK = {'wall': "import sys\n", 'cpu': "import sys, time\ntime.perf_counter = time.process_time\n"}
PRODUCT = "import json, time, torch\ntorch.set_num_threads(1)\nx, w, times = torch.randn(32 * 512, 97).bfloat16(), torch.randn(1024, 97).bfloat16(), []\n"
KEEP = "from hrm_lit.layers import keep_memory\nassert keep_memory()\n"
MEASURE = "for _ in range(6):\n    start = time.process_time()\n    x @ w.T\n    times.append(time.process_time() - start)\nprint(json.dumps(dict(ms=round(1000 * min(times), 2))))"

def run(command, threads):
    "The last line that a command prints, as JSON, with the CPU seconds of the whole process."
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {'OMP_NUM_THREADS': str(threads)})
    if done.returncode: raise SystemExit(f'{shlex.join(map(str, command))} failed:\n{done.stderr[-2000:]}')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return json.loads(done.stdout.splitlines()[-1]) | {'cpu_s': after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}

def compare(model, args):
    "Rounds of baseline and ours for one model."
    theirs = [sys.executable, '-c', CLOCK[args.clock] + THEIRS, args.baseline, '--model', model, '--batch', args.batch, '--dtype', args.dtype, '--device', args.device,
              '--steps', args.steps, '--warmup', args.warmup, '--threads', args.threads, *(['--compile'] if args.compile_baseline else [])]
    ours = [sys.executable, '-c', CLOCK[args.clock] + OURS, RECIPES[model], '--batch-size', args.batch, '--dtype', args.dtype, '--device', args.device, '--steps', args.steps,
            '--warmup', args.warmup, '--threads', args.threads, '--compile', args.compile, '--json', '-']
    rounds = []
    for _ in range(args.rounds):
        rounds.append([run(list(map(str, command)), args.threads) for command in (theirs, ours)])
        a, b = rounds[-1]
        a["load"] = b["load"] = os.getloadavg()[0]
        print(f'{model}: baseline {a["s_median"]:.2f} s, ours {b["s_median"]:.2f} s, ratio {a["s_median"] / b["s_median"]:.2f}', file=sys.stderr)
    ratios = [a['s_median'] / b['s_median'] for a, b in rounds]
    return dict(ratio=statistics.median(ratios), ratio_of_best=min(a['s_min'] for a, _ in rounds) / min(b['s_min'] for _, b in rounds),
                ratios=ratios, baseline=[a for a, _ in rounds], ours=[b for _, b in rounds])

def variants(model, args):
    "CPU seconds of a step with all changes, and with each of them taken back; one process, alternating."
    import ctypes, torch, torch.nn.functional as F
    from dataclasses import replace
    from hrm_lit import layers, optim
    from hrm_lit.bench_command import random_batch
    from hrm_lit.model import Reasoner
    from hrm_lit.recipes import find_recipe
    from hrm_lit.training import TrainState, train_step
    torch.set_num_threads(args.threads)
    recipe = find_recipe(RECIPES[model])
    recipe = replace(recipe, train=replace(recipe.train, batch_size=args.batch))
    torch.manual_seed(0)
    state, batch = TrainState.start(Reasoner(recipe.model), recipe.train), random_batch(recipe, args.batch, torch.device('cpu'))

    def plain_norm(x, eps=1e-5):
        y = x.float()
        return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + eps)).to(x.dtype)
    def plain_turn(self, x):
        y = x.float()
        low, high = y.chunk(2, -1)
        return (y * self.cos + torch.cat((-high, low), -1) * self.sin).to(x.dtype)
    move, step = optim.AdamATan2._move, optim.AdamATan2.step
    @torch.no_grad()
    def together(self):  # all tensors in each call: gather the single calls, then do them at once
        calls = []
        optim.AdamATan2._move = lambda self, group, *lists: calls.append((group, lists))
        try: step(self)
        finally: optim.AdamATan2._move = move
        move(self, calls[0][0], *(sum((lists[i] for _, lists in calls), []) for i in range(5)))
    changes = {'attention written out': (layers, 'attend', F.scaled_dot_product_attention), 'norm with its own derivative': (layers, 'rms_norm', plain_norm),
               'RoPE with its own derivative': (layers.Rope, 'forward', plain_turn), 'optimizer tensor by tensor': (optim.AdamATan2, 'step', together)}
    libc = ctypes.CDLL(None)
    def memory(kept): libc.mallopt(-4, 0 if kept else 65536), libc.mallopt(-1, 2**31 - 1 if kept else 128 << 10)
    found = {}
    for i in range(args.steps + 1):
        for name in ('all', *changes, 'memory kept', 'none'):
            off = list(changes.values()) if name == 'none' else [changes[name]] if name in changes else []
            held = [(place, key, getattr(place, key)) for place, key, _ in off]
            for place, key, old in off: setattr(place, key, old)
            memory(name not in ('memory kept', 'none'))
            cpu = time.process_time()
            train_step(state, batch, recipe.halting, recipe.train)
            if i: found.setdefault(name, []).append(time.process_time() - cpu)
            for place, key, new in held: setattr(place, key, new)
    return {name: dict(cpu_s_min=min(times), cpu_s_median=statistics.median(times)) for name, times in found.items()}

def parts(args):
    "Milliseconds of CPU time of single operations, the best of five, one thread."
    import torch, torch.nn.functional as F
    from hrm_lit.optim import AdamATan2
    torch.set_num_threads(1)
    def ms(f):
        f()
        times = []
        for _ in range(5):
            start = time.process_time()
            f()
            times.append(time.process_time() - start)
        return round(1000 * min(times), 2)
    def written(q, k, v): return (q @ k.mT * q.shape[-1]**-0.5).softmax(-1) @ v
    attention = []
    for dtype in (torch.bfloat16, torch.float32):
        for rows, heads, tokens, width in ((64, 4, 17, 16), (64, 4, 37, 16), (64, 4, 49, 16), (32, 8, 82, 64), (32, 8, 97, 64), (16, 8, 200, 64), (8, 8, 400, 64), (4, 8, 916, 64)):
            q, k, v, g = torch.randn(4, rows, heads, tokens, width).to(dtype)
            inputs = [t.requires_grad_() for t in (q, k, v)]
            row = dict(dtype=str(dtype)[6:], rows=rows, heads=heads, tokens=tokens, width=width)
            for name, f in (('written', written), ('fused', F.scaled_dot_product_attention)):
                with torch.no_grad(): row[f'{name}_forward'] = ms(lambda: f(*inputs))
                row[f'{name}_both'] = ms(lambda: torch.autograd.grad(f(*inputs), inputs, g))
            attention.append(row)
    product = {name: run([sys.executable, '-c', PRODUCT + after], 1)['ms'] for name, after in (('given back', MEASURE), ('kept', KEEP + MEASURE))}
    shapes = [(1536, 512), (512, 512), (3072, 512), (512, 1536)] * 8  # HRM's 32 matrices
    params = [torch.randn(shape).requires_grad_() for shape in shapes]
    for p in params: p.grad = torch.randn_like(p)
    optimizer = AdamATan2(params)
    optimizer.step()
    state = optimizer.state
    lists = [params, [p.grad for p in params], [2] * len(params), [state[p]['m'] for p in params], [state[p]['v'] for p in params]]
    @torch.no_grad()
    def at_once(): optimizer._move(optimizer.param_groups[0], *lists)
    adam = torch.optim.AdamW(params, foreach=True)
    return dict(attention=attention, product=product, optimizer={'tensor by tensor': ms(optimizer.step), 'all at once': ms(at_once), 'AdamW, foreach': ms(adam.step)})

def hardware():
    "What the numbers were measured on."
    lines = Path('/proc/cpuinfo').read_text().splitlines() if Path('/proc/cpuinfo').exists() else []
    fields = dict(line.split(':', 1) for line in lines if ':' in line)
    flags = [flag for flag in fields.get('flags\t\t', '').split() if flag.startswith(('amx', 'avx512_bf16', 'avx512f'))]
    return dict(cpu=fields.get('model name\t', platform.machine()).strip(), cores=os.cpu_count(), flags=flags, load=os.getloadavg()[0])

if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--baseline'), parser.add_argument('--models', nargs='+', default=list(RECIPES), choices=list(RECIPES))
    for name, default in (('batch', 32), ('threads', 1), ('rounds', 3), ('steps', 2), ('warmup', 1)): parser.add_argument(f'--{name}', type=int, default=default)
    for name, default in (('dtype', 'bfloat16'), ('device', 'cpu'), ('compile', 'no'), ('out', 'bench.json')): parser.add_argument(f'--{name}', default=default)
    parser.add_argument('--clock', default='wall', choices=list(CLOCK))
    parser.add_argument('--compile-baseline', action='store_true'), parser.add_argument('--variants', action='store_true'), parser.add_argument('--parts', action='store_true')
    args = parser.parse_args()
    if not (args.baseline or args.parts or args.variants): parser.error('--baseline PATH/baseline.py, --variants or --parts is needed')
    if args.clock == 'cpu' and (args.threads != 1 or args.device != 'cpu'): parser.error('--clock cpu makes sense with --threads 1 --device cpu')
    import torch
    git = lambda *words: subprocess.run(['git', *words], capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip()
    found = dict(command=shlex.join(['python', 'nbs/experiments/bench.py', *('baseline.py' if w == args.baseline else w for w in sys.argv[1:])]),
                 date=time.strftime('%Y-%m-%d'), commit=git('rev-parse', 'HEAD'), changed=bool(git('status', '--porcelain', '--', '../../hrm_lit')),
                 torch=torch.__version__, hardware=hardware(), batch=args.batch, dtype=args.dtype, threads=args.threads, clock=args.clock, compiled=args.compile, models={})
    if args.parts: Path(args.out).write_text(json.dumps(found | dict(threads=1, parts=parts(args)), indent=1) + '\n')
    for model in args.models if args.baseline or args.variants else ():
        found['models'][model] = compare(model, args) if args.baseline else {}
        if args.variants: found['models'][model]['variants'] = variants(model, args)
        Path(args.out).write_text(json.dumps(found, indent=1) + '\n')
    print(json.dumps({model: row.get('ratio') for model, row in found['models'].items()}))
