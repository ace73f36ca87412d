"""The in-silico trial of Shad et al.: contrastive pretraining on reports against what there is without it.

    python benchmarks/shad_trial.py                 # everything that is missing, then the page
    python benchmarks/shad_trial.py --size micro --out runs/trial_micro --results runs/trial_micro.csv   # it runs
    python benchmarks/shad_trial.py --list          # steps, and which are done
    python benchmarks/shad_trial.py --page          # only docs/results/shad_trial.md and its figures, from the rows

A phantom cohort of two sites is rendered, split by patient, and learned from; two more sites, one like a biobank and
one after contrast agent, are external.  Every finished step appends its rows to docs/results/shad_trial.csv; started
again, the command goes on from the first step that is missing, and a step that was killed from its last epoch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from trial import append, rows_of

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve()
RESULTS = ROOT / "docs" / "results" / "shad_trial.csv"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="tiny", help="tiny (two hours on two cores) or micro (minutes)")
    parser.add_argument("--cohorts", type=Path, default=None, help="rendered studies; default OUT/cohorts")
    parser.add_argument("--out", type=Path, default=Path("runs/trial"), help="runs, splits and features")
    parser.add_argument("--results", type=Path, default=RESULTS, help="CSV of rows")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="steps at once, one core each")
    parser.add_argument("--only", default="", help="only steps whose names begin so; several with commas")
    parser.add_argument("--list", action="store_true", help="say which steps are done")
    parser.add_argument("--page", action="store_true", help="only rewrite the page")
    parser.add_argument("--step", help=argparse.SUPPRESS)  # one step, in a process of its own
    args = parser.parse_args()
    args.cohorts = args.cohorts or args.out / "cohorts"
    return args


def do_step(args: argparse.Namespace) -> None:
    """One step; its rows go to a file that the scheduler takes up."""
    from shad_trial_cohorts import SIZES
    from shad_trial_steps import Context, plan, stamped

    size = SIZES[args.size]
    context = Context(size, args.cohorts, args.out)
    step = {step.name: step for step in plan(size)}[args.step]
    start = time.perf_counter()
    rows = stamped(context, step, step.work(context), time.perf_counter() - start)
    path = args.out / "rows" / f"{step.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(rows))
    part.replace(path)


def collect(args: argparse.Namespace, names: list[str]) -> set[str]:
    """Append the rows of newly finished steps to the results; give every finished step."""
    from shad_trial_steps import FIELDS

    done = {row["step"] for row in rows_of(args.results)}
    for name in names:
        path = args.out / "rows" / f"{name}.json"
        if name in done or not path.exists():
            continue
        append(args.results, FIELDS, json.loads(path.read_text()))
        done.add(name)
    return done


def schedule(args: argparse.Namespace) -> bool:
    """Run what is missing, some steps at once; whether all of it succeeded."""
    from shad_trial_cohorts import SIZES
    from shad_trial_steps import plan

    steps = plan(SIZES[args.size])
    names = [step.name for step in steps]
    wanted = [s for s in steps if not args.only or s.name.startswith(tuple(args.only.split(",")))]
    running: dict[str, subprocess.Popen[bytes]] = {}
    failed: set[str] = set()
    environment = {**os.environ, "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // args.jobs))}
    (args.out / "logs").mkdir(parents=True, exist_ok=True)
    try:
        while True:
            for name in [n for n, process in running.items() if process.poll() is not None]:
                code = running.pop(name).returncode
                print(f"{time.strftime('%H:%M:%S')} {name}: {'done' if code == 0 else f'FAILED ({code})'}", flush=True)
                if code:
                    failed.add(name)
            done = collect(args, names)
            waiting = [s for s in wanted if s.name not in done and s.name not in running and s.name not in failed]
            ready = [s for s in waiting if set(s.needs) <= done]
            for step in ready[: args.jobs - len(running)]:
                print(f"{time.strftime('%H:%M:%S')} {step.name}: begun", flush=True)
                log = (args.out / "logs" / f"{step.name}.log").open("ab")
                call = [sys.executable, str(HERE), "--step", step.name, "--size", args.size]
                call += ["--cohorts", str(args.cohorts), "--out", str(args.out)]
                running[step.name] = subprocess.Popen(call, stdout=log, stderr=log, env=environment)
            if not running:
                for step in waiting:
                    print(f"{step.name}: not run, needs {', '.join(set(step.needs) - done)}")
                return not failed and not waiting
            time.sleep(1.0)
    finally:
        for process in running.values():
            process.terminate()


def main() -> None:
    args = arguments()
    from shad_trial_cohorts import SIZES, render, split_internal
    from shad_trial_page import write_page

    if args.size not in SIZES:
        sys.exit(f"unknown size {args.size!r}; there are {', '.join(SIZES)}")
    if args.step:
        do_step(args)
        return
    if args.list:
        from shad_trial_steps import plan

        done = {row["step"] for row in rows_of(args.results)}
        for step in plan(SIZES[args.size]):
            print(f"{'done   ' if step.name in done else 'missing'} {step.name}")
        return
    succeeded = True
    if not args.page:
        args.out.mkdir(parents=True, exist_ok=True)
        render(SIZES[args.size], args.cohorts, args.jobs)
        if not (args.out / "split_pretrain.json").exists():
            split_internal(SIZES[args.size], args.cohorts, args.out)
        succeeded = schedule(args)
    write_page(rows_of(args.results), args.results.with_suffix(".md"), SIZES[args.size])
    print(f"open {args.results.with_suffix('.md')}")
    if not succeeded:
        sys.exit(f"some steps did not finish; their logs are in {args.out / 'logs'}; the same command goes on")


if __name__ == "__main__":
    main()
