"Boards that `SudokuAugment` makes in a second on one CPU thread: python nbs/experiments/augment.py > nbs/experiments/results/augment.json"
import json
import statistics
import time
import torch
from hrm_lit.runs import provenance
from hrm_lit.sudoku import SUDOKU_9
from hrm_lit.sudoku_data import SudokuAugment

torch.set_num_threads(1)
generator, augment, rates = torch.Generator().manual_seed(0), SudokuAugment(SUDOKU_9), {}
for batch in (64, 768, 4096):
    boards = torch.randint(1, 11, (batch, 81), generator=generator)
    for _ in range(3): augment(boards, boards, generator)
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        augment(boards, boards, generator)
        seconds.append(time.perf_counter() - start)
    rates[batch] = round(batch / statistics.median(seconds))
command = 'python nbs/experiments/augment.py > nbs/experiments/results/augment.json'
print(json.dumps(dict(boards_per_second=rates) | provenance(torch.device('cpu'), command), indent=1))
