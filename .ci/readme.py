"Write README.md from nbs/index.ipynb: prose as it is, code as fenced blocks, no outputs. `--check` only compares."
import json
import re
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
parts = []
for cell in json.loads((root / 'nbs/index.ipynb').read_text())['cells']:
    text = ''.join(cell['source'])
    if text.startswith('#| hide'): continue
    parts.append(text if cell['cell_type'] == 'markdown' else f'```python\n{text}\n```')
text = '\n\n'.join(parts) + '\n'
text = re.sub(r"\]\((?!https?:|#)", "](nbs/", text).replace("'fixtures/", "'nbs/fixtures/")  # seen from the root
if '--check' in sys.argv:
    if (root / 'README.md').read_text() != text: sys.exit('README.md differs from nbs/index.ipynb: run python .ci/readme.py')
else: (root / 'README.md').write_text(text)
