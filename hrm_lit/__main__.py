"""`python -m hrm_lit` is the command `hrm_lit`. Written by hand: nbdev exports no notebook here."""
import sys
from .cli import main

if __name__ == '__main__': sys.exit(main())
