"""Measure our training step against the official sequence of operations: both programs alive, computing in turns.

  python nbs/experiments/bench.py --baseline PATH/baseline.py [--models trm-att trm-mlp hrm] [--batch 32] [--dtype bfloat16] [--threads 1]
         [--rounds 3] [--steps 2] [--warmup 1] [--device cpu] [--clock wall|cpu] [--compile no|nets|segment] [--compile-baseline]
         [--also no|nets|segment ...] [--at-once 1] [--minutes M] [--variants] [--parts] [--profile] [--out FILE.json]

`baseline.py` takes --model --batch --dtype --device --threads --steps --warmup [--compile] and prints JSON; it reads
`time.perf_counter()` once before each step, and after each step that follows the warm-up. So does our side. That call is where
a program waits for its turn: a round is some steps of the baseline and then as many of ours, with the same model, batch,
dtype and threads, after both have warmed up. (A compiled program may compile again at its second step: --warmup 3 or more.)
A round's ratio is that of its two medians, and the result is the median of the rounds. On a machine that others use, take
--threads 1 --clock cpu: both programs then measure CPU seconds, which do not count the time that other processes took.
A program that fails, or has no time left, is named in the file with its last words, and the others go on; the file is
written again whenever something is known.
With --also, ours is measured once more, alone, with other parts compiled. --at-once lets several models get ready together,
where memory allows; they still compute one after another. --minutes ends all that is not done by then.
--hidden, --heads, --seq, --H-cycles and --L-cycles make both sides small, to try all this out.
With --variants, each change of ours is also switched off by itself, in one process, steps alternating.
With --profile, one step of ours is also taken apart by operation.
With --parts, only single operations are measured: attention written out and fused, by length; a product that fills 33.5 MB,
in a new process with memory given back and kept; the optimizer, tensor by tensor and all at once (no baseline needed).

An H200, in one command of at most eight minutes, from the root of the repository; of the packages, torch, numpy, matplotlib,
safetensors, tqdm and pyyaml are enough:

  PYTHONPATH=. python3 nbs/experiments/bench.py --baseline PATH/baseline.py --device cuda --batch 768 --warmup 5 --steps 10 --rounds 5 \\
      --compile segment --compile-baseline --also nets no --at-once 3 --minutes 8 --out bench-cuda.json
"""
import argparse, io, json, math, os, platform, queue, resource, runpy, shlex, shutil, statistics, subprocess, sys, tempfile, threading, time
from contextlib import redirect_stdout
from pathlib import Path

RECIPES = {'trm-att': 'trm-att-sudoku-extreme', 'trm-mlp': 'trm-mlp-sudoku-extreme', 'hrm': 'hrm-sudoku-extreme'}
LATE = 'no time was left'
SIZES = ('hidden', 'heads', 'seq', 'H-cycles', 'L-cycles')
PRODUCT = "import json, time, torch\ntorch.set_num_threads(1)\nx, w, times = torch.randn(32 * 512, 97).bfloat16(), torch.randn(1024, 97).bfloat16(), []\n"
KEEP = "from hrm_lit.layers import keep_memory\nassert keep_memory()\n"
MEASURE = "for _ in range(6):\n    start = time.process_time()\n    x @ w.T\n    times.append(time.process_time() - start)\nprint(json.dumps(dict(ms=round(1000 * min(times), 2))))"

def run(command, threads):
    "The last line that a command prints, as JSON."
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {'OMP_NUM_THREADS': str(threads)})
    if done.returncode: raise SystemExit(f'{shlex.join(map(str, command))} failed:\n{done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])

# One side: a process that computes when it has the turn. It says a line of JSON after '@', and goes on when it gets one.

class Turns:
    "A clock that waits for a turn before each round of steps, and keeps their seconds."
    def __init__(self, caller, args):
        self.caller, self.warmup, self.steps, self.rounds = caller, args.warmup, args.steps, args.rounds
        self.read = time.process_time if args.clock == 'cpu' else time.perf_counter
        self.out, self.calls, self.times = sys.stdout, 0, []
    def __call__(self):
        if sys._getframe(1).f_globals.get('__name__') != self.caller: return self.read()  # PyTorch reads the clock as well
        timed, self.calls = self.calls - self.warmup, self.calls + 1
        last = 2 * self.steps * self.rounds  # call after all steps: what follows is no step
        if 0 <= timed <= last and timed % (2 * self.steps) == 0:
            self.say()
            sys.stdin.readline()
        now = self.read()
        if 0 <= timed < last and timed % 2: self.times.append(now - self.began)
        self.began = now
        return now
    def say(self, **more):
        print('@' + json.dumps(dict(times=self.times) | more), file=self.out, flush=True)
        self.times = []

def theirs(model, args):
    "The baseline, as a program."
    words = dict(model=model, batch=args.batch, dtype=args.dtype, device=args.device, threads=args.threads, warmup=args.warmup, steps=args.steps * args.rounds)
    words |= {size: getattr(args, size.replace('-', '_')) for size in SIZES}
    time.perf_counter = turns = Turns('__main__', args)
    sys.argv = [args.baseline, *(str(w) for name, value in words.items() if value for w in (f'--{name}', value)), *(['--compile'] if args.compile_baseline else [])]
    with redirect_stdout(io.StringIO()) as said: runpy.run_path(args.baseline, run_name='__main__')
    turns.say(found=json.loads(said.getvalue().splitlines()[-1]))
    sys.stdin.readline()  # until the other side is done: giving back gigabytes takes time that it would feel

def ours(model, args):
    "What `hrm_lit bench` measures."
    import torch
    from dataclasses import replace
    try: import tyro
    except ImportError:  # reads command lines, and none is read here: any object will do
        from unittest.mock import MagicMock
        sys.modules['tyro'] = sys.modules['tyro.conf'] = MagicMock()
    from hrm_lit.bench_command import measure
    from hrm_lit.layers import keep_memory
    from hrm_lit.recipes import find_recipe
    recipe, names = find_recipe(RECIPES[model]), ('hidden_size', 'num_heads', 'seq_len', 'H_cycles', 'L_cycles')
    small = {name: value for name, size in zip(names, SIZES) if (value := getattr(args, size.replace('-', '_')))}
    if 'hidden_size' in small: small['puzzle_ndim'] = small['hidden_size']
    recipe = replace(recipe, model=replace(recipe.model, dtype=args.dtype, **small), train=replace(recipe.train, batch_size=args.batch))
    if args.threads: torch.set_num_threads(args.threads)
    keep_memory()
    time.perf_counter = turns = Turns('hrm_lit.bench_command', args)
    turns.say(found=measure(recipe, torch.device(args.device), args.steps * args.rounds, args.warmup, args.compile))
    sys.stdin.readline()

# The other end.

class Program:
    "One side of a model in a process of its own."
    def __init__(self, side, model, compiled, args, until):
        self.name, self.until, self.rounds, self.found, self.error = f'{model}, {side}, compiled: {compiled}', until, [], None, None
        options = [w for w in sys.argv[1:]] + ['--side', side, '--models', model, '--compile', compiled]
        threads = {'OMP_NUM_THREADS': str(args.threads)} if args.threads else {}
        self.words = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen([sys.executable, __file__, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.words, text=True,
                                        env={'TORCHINDUCTOR_COMPILE_THREADS': str(max(1, (os.cpu_count() or 1) // (2 * args.at_once)))} | os.environ | threads)
        self.said = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
    def read(self):
        for line in self.process.stdout:
            if line.startswith('@'): self.said.put(json.loads(line[1:]))
        self.said.put(None)
    def hear(self, until=math.inf):
        "Wait for what it says next, if it still speaks."
        if self.error or self.found: return
        try: message = self.said.get(timeout=max(0, min(self.until - time.monotonic(), until - time.monotonic(), 1e6)))
        except queue.Empty: return self.fail(LATE)
        if message is None: return self.fail(None)
        if message['times']: self.rounds.append(message['times'])
        self.found = message.get('found')
    def turn(self):
        if self.error or self.found: return
        try: self.process.stdin.write('go\n'), self.process.stdin.flush()
        except OSError: pass  # it has ended; `hear` says why
        self.hear()
    def fail(self, why):
        self.end()
        self.words.seek(0)
        self.error = why or self.words.read()[-2000:] or f'ended with {self.process.returncode}'
        print(f'{self.name}: {self.error.splitlines()[-1]}', file=sys.stderr)
    def end(self):
        self.process.kill()
        self.process.wait()

def in_turns(programs, rounds):
    "Let programs get ready together, and then compute one after another; whoever takes most of the time to get ready is left behind."
    now = time.monotonic()
    try:
        for program in programs: program.hear(now + 0.6 * (program.until - now))
        for _ in range(rounds):
            for program in programs: program.turn()
        for program in programs: program.turn()  # the peak, where a side measures it
    finally:
        for program in programs: program.end()

def readings(program, flops=None, peak=None):
    "What a program found, round by round."
    found = program.found or {}
    flops, peak = found.get('flops_per_step', flops), found.get('matmul_peak', peak)
    rows = [found | dict(s_min=min(times), s_median=statistics.median(times)) for times in program.rounds]
    for row in rows:
        row |= dict(examples_per_s=row['batch'] / row['s_median']) if 'batch' in row else {}
        if flops and peak: row |= dict(flops_per_s=flops / row['s_median'], share_of_peak=flops / row['s_median'] / peak)
        if 'batch_size' in row: row |= dict(segments_per_s=1 / row['s_median'], examples_per_s=row['batch_size'] / row['s_median'])
    return rows

def compare(models, args, until):
    "Rounds of baseline and ours for some models: model -> what was found."
    pairs = {model: (Program('theirs', model, 'segment' if args.compile_baseline else 'no', args, until), Program('ours', model, args.compile, args, until)) for model in models}
    in_turns([program for pair in pairs.values() for program in pair], args.rounds)
    found = {}
    for model, (a, b) in pairs.items():
        ours, load = readings(b), os.getloadavg()[0]
        known = ours[0] if ours and b.found else {}
        theirs, row = readings(a, known.get('flops_per_step'), known.get('matmul_peak')), {}
        ratios = [x['s_median'] / y['s_median'] for x, y in zip(theirs, ours)]
        if ratios: row = dict(ratio=statistics.median(ratios), ratio_of_best=min(x['s_min'] for x in theirs) / min(y['s_min'] for y in ours), ratios=ratios)
        errors = {program.name: program.error for program in (a, b) if program.error}
        found[model] = row | dict(baseline=theirs, ours=ours, load=load, errors=errors)
        for r, (x, y) in enumerate(zip(theirs, ours)): print(f'{model}: baseline {x["s_median"]:.4g} s, ours {y["s_median"]:.4g} s, ratio {ratios[r]:.2f}', file=sys.stderr)
    return found

def alone(models, compiled, args, until):
    "Ours without the baseline: model -> rounds, or why there are none."
    programs = {model: Program('ours', model, compiled, args, until) for model in models}
    in_turns(list(programs.values()), args.rounds)
    for model, program in programs.items():
        for row in readings(program): print(f'{model}: ours, compiled: {compiled}, {row["s_median"]:.4g} s', file=sys.stderr)
    return {model: dict(ours=readings(program)) | (dict(error=program.error) if program.error else {}) for model, program in programs.items()}

def started(model, args):
    "A training step of ours on random puzzles, on the CPU, to be called again and again."
    import torch
    from dataclasses import replace
    from hrm_lit.bench_command import random_batch
    from hrm_lit.model import Reasoner
    from hrm_lit.recipes import find_recipe
    from hrm_lit.training import TrainState, train_step
    torch.set_num_threads(args.threads)
    recipe = find_recipe(RECIPES[model])
    recipe = replace(recipe, model=replace(recipe.model, dtype=args.dtype), train=replace(recipe.train, batch_size=args.batch))
    torch.manual_seed(0)
    state, batch = TrainState.start(Reasoner(recipe.model), recipe.train), random_batch(recipe, args.batch, torch.device('cpu'))
    return lambda: train_step(state, batch, recipe.halting, recipe.train)

def variants(model, args):
    "CPU seconds of a step with all changes, and with each of them taken back; one process, alternating."
    import ctypes, torch, torch.nn.functional as F
    from hrm_lit import layers, optim
    step_of_ours = started(model, args)

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
            step_of_ours()
            if i: found.setdefault(name, []).append(time.process_time() - cpu)
            for place, key, new in held: setattr(place, key, new)
    return {name: dict(cpu_s_min=min(times), cpu_s_median=statistics.median(times)) for name, times in found.items()}

def profile(model, args):
    "Seconds of a step by operation, the longest first, and of all operations; from PyTorch's profiler, whose own cost is in them."
    import torch
    from hrm_lit.layers import keep_memory
    keep_memory()
    step_of_ours = started(model, args)
    for _ in range(args.warmup): step_of_ours()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found: step_of_ours()
    rows = sorted(((row.self_cpu_time_total / 1e6, row.key, row.count) for row in found.key_averages()), reverse=True)
    return dict(total=sum(row[0] for row in rows), rows=[dict(name=name, seconds=seconds, calls=calls) for seconds, name, calls in rows[:10]])

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

def hardware(device):
    "What the numbers were measured on."
    lines = Path('/proc/cpuinfo').read_text().splitlines() if Path('/proc/cpuinfo').exists() else []
    fields = dict(line.split(':', 1) for line in lines if ':' in line)
    flags = [flag for flag in fields.get('flags\t\t', '').split() if flag.startswith(('amx', 'avx512_bf16', 'avx512f'))]
    gpu = {}
    if device.startswith('cuda'):
        import torch
        gpu = dict(gpu=torch.cuda.get_device_name(device))
    return gpu | dict(cpu=fields.get('model name\t', platform.machine()).strip(), cores=os.cpu_count(), flags=flags, load=os.getloadavg()[0])

def git(*words):
    "What git says here, if it is installed and knows this directory."
    return subprocess.run(['git', *words], capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip() if shutil.which('git') else ''

def options():
    parser = argparse.ArgumentParser()
    parser.add_argument('--baseline'), parser.add_argument('--models', nargs='+', default=list(RECIPES), choices=list(RECIPES))
    for name, default in (('batch', 32), ('threads', 1), ('rounds', 3), ('steps', 2), ('warmup', 1), ('at-once', 1)): parser.add_argument(f'--{name}', type=int, default=default)
    for name in SIZES: parser.add_argument(f'--{name}', type=int)
    for name, default in (('dtype', 'bfloat16'), ('device', 'cpu'), ('out', 'bench.json')): parser.add_argument(f'--{name}', default=default)
    parts = ('no', 'nets', 'segment')
    parser.add_argument('--compile', default='no', choices=parts), parser.add_argument('--also', nargs='+', default=[], choices=parts)
    parser.add_argument('--clock', default='wall', choices=('wall', 'cpu')), parser.add_argument('--minutes', type=float, default=math.inf)
    for name in ('compile-baseline', 'variants', 'parts', 'profile'): parser.add_argument(f'--{name}', action='store_true')
    parser.add_argument('--side', choices=('ours', 'theirs'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not (args.baseline or args.parts or args.variants or args.profile or args.also): parser.error('--baseline PATH/baseline.py, --also, --variants, --profile or --parts is needed')
    if args.clock == 'cpu' and (args.threads != 1 or args.device != 'cpu'): parser.error('--clock cpu makes sense with --threads 1 --device cpu')
    return args

def main():
    args, until = options(), math.inf
    if args.side: return dict(ours=ours, theirs=theirs)[args.side](args.models[0], args)
    if args.minutes < math.inf: until = time.monotonic() + 60 * args.minutes
    import torch
    found = dict(command=shlex.join(['python', 'nbs/experiments/bench.py', *('baseline.py' if w == args.baseline else w for w in sys.argv[1:])]),
                 date=time.strftime('%Y-%m-%d'), commit=git('rev-parse', 'HEAD'), changed=bool(git('status', '--porcelain', '--', '../../hrm_lit')),
                 torch=torch.__version__, hardware=hardware(args.device), batch=args.batch, dtype=args.dtype, threads=args.threads, clock=args.clock,
                 compiled=args.compile, compiled_baseline=args.compile_baseline, models={})
    rows = found['models']
    def keep(new):
        for model, row in new.items(): rows[model] = rows.get(model, {}) | row
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        Path(args.out).write_text(json.dumps(found, indent=1) + '\n')
    keep({})
    groups = [args.models[i:i + args.at_once] for i in range(0, len(args.models), args.at_once)]
    if args.parts: keep(found.update(threads=1, parts=parts(args)) or {})
    for group in groups if args.baseline else ():
        keep(compare(group, args, until))
        if len(group) > 1:  # whoever had no room beside the others gets all of it
            for model in group:
                if rows[model].get('errors') and LATE not in rows[model]['errors'].values(): keep(compare([model], args, until))
    for compiled in args.also:
        for group in groups:
            for model, row in alone(group, compiled, args, until).items(): keep({model: dict(also=rows.get(model, {}).get('also', {}) | {compiled: row})})
    for model in args.models if args.profile else (): keep({model: dict(profile=profile(model, args))})
    for model in args.models if args.variants else (): keep({model: dict(variants=variants(model, args))})
    print(json.dumps({model: row.get('ratio') for model, row in rows.items()}))

if __name__ == '__main__': main()
