"""The systems of the four papers on common ground: same patients, same split, same budget, same targets.

>>> from cardiolens.bench import load_bench, run_bench
>>> run_bench(load_bench("recipes/bench_tiny.yaml"), store, out)                # doctest: +SKIP
"""

from cardiolens.bench.recipe import BenchRecipe, SystemRecipe, load_bench
from cardiolens.bench.run import run_bench

__all__ = ["BenchRecipe", "SystemRecipe", "load_bench", "run_bench"]
