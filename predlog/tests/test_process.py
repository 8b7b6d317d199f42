import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Read = Callable[..., list[dict[str, Any]]]
Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_interpreters_exit_writes_what_waits(run: Run, read: Read) -> None:
    done = run("for i in range(5000):\n  log.log({'i': i})", "flush_seconds=3600")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(read("prediction")) == 5000
    assert sum(counts["requests"] for counts in read("counts")) == 5000


def test_an_exit_by_exception_writes_what_waits(run: Run, read: Read) -> None:
    done = run("log.log({})\nraise SystemExit(3)", "flush_seconds=3600")
    assert done.returncode == 3
    assert len(read("prediction")) == 1


FORK = """
import os
log.log({'by': 'parent before'})
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        for i in range(100):
            log.log({'by': child})
        log.close()
        os._exit(0)
    children.append(pid)
log.log({'by': 'parent after'})
for pid in children:
    os.waitpid(pid, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_forked_worker_has_its_own_queue_thread_and_file(run: Run, read: Read, folder: Path) -> None:
    done = run(FORK, "flush_seconds=3600")
    assert done.returncode == 0, done.stderr
    by = [record["features"]["by"] for record in read("prediction")]
    assert sorted(map(str, by)) == sorted(["0", "1", "2"] * 100 + ["parent before", "parent after"])
    assert len(list(folder.iterdir())) == 4
    assert len({path.name.split("-")[1] for path in folder.iterdir()}) == 4


PRELOADED = """
import os, signal, sys
ready, told = os.pipe()
children = []
for child in range(2):  # the master made the log and never used it, as gunicorn with preload does
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        for i in range(100):
            log.log({'by': child})
        os.write(told, b'x')
        signal.pause()
    children.append(pid)
for pid in children:
    os.read(ready, 1)
for pid in children:
    os.kill(pid, signal.SIGTERM)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_workers_forked_from_a_master_that_never_logged_write_all_when_told_to_stop(
    run: Run, read: Read, folder: Path
) -> None:
    done = run(PRELOADED, "flush_seconds=3600")
    assert done.returncode == 0, done.stderr
    assert sorted(record["features"]["by"] for record in read("prediction")) == [0] * 100 + [1] * 100
    assert len(list(folder.iterdir())) == 2, "the master has no file"


MULTIPROCESSING = """
import multiprocessing
def work(name):
    log.log({'by': name})
context = multiprocessing.get_context('fork')
workers = [context.Process(target=work, args=(name,)) for name in range(3)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_child_of_multiprocessing_writes_what_waits_though_it_runs_no_atexit(run: Run, read: Read) -> None:
    done = run(MULTIPROCESSING, "flush_seconds=3600")
    assert done.returncode == 0, done.stderr
    assert sorted(record["features"]["by"] for record in read("prediction")) == [0, 1, 2]


KILLED = """
import sys
from predlog import PredictionLog
log = PredictionLog("m", "v", sys.argv[1], flush_seconds=0.01)
for i in range(10_000_000):
    log.log({"i": i, "text": "x" * 100})
    if i % 100 == 99:
        log.flush()
        print(i, flush=True)
"""


@pytest.mark.parametrize("progress", [1, 7, 23])
def test_a_killed_writer_leaves_whole_lines_and_at_most_one_torn_and_what_was_flushed_stands(
    folder: Path, progress: int
) -> None:
    command = [sys.executable, "-c", KILLED, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(progress):
            flushed = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        flushed = max([flushed, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    (path,) = folder.iterdir()
    *whole, _ = path.read_bytes().split(b"\n")  # after the last newline comes nothing, or the torn line
    indexes = [record["features"]["i"] for record in map(json.loads, whole) if record["kind"] == "prediction"]
    assert indexes == list(range(len(indexes)))
    assert indexes[-1] >= flushed


FULL = """
import resource, signal
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))  # the system then writes what fits, and refuses the rest
for i in range(100):
    log.log({'i': i, 'text': 'x' * 100})
dropped = log.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
log.log({'i': 'after'})
print(dropped, log.flush())
"""


def test_a_full_disk_costs_what_does_not_fit_tears_no_line_and_the_log_goes_on(
    run: Run, read: Read, total: Callable[[str], int]
) -> None:
    done = run(FULL, "flush_seconds=3600")
    assert done.returncode == 0, done.stderr
    dropped, after = map(int, done.stdout.split())
    kept = [record["features"]["i"] for record in read("prediction")]
    assert dropped == after > 0
    assert kept == [*range(100 - dropped), "after"]
    assert (total("requests"), total("dropped")) == (101, dropped)
    assert done.stderr.count("predlog: cannot write") == 1


SIGNAL = """
import os, signal
signal.signal(signal.SIGUSR1, lambda *_: [log.log({}), log.outcome('1', label=1)])
for i in range(2000):
    log.log({})
    log.outcome('2', label=0)
    os.kill(os.getpid(), signal.SIGUSR1)
print(log.flush())
"""


def test_a_signal_handler_may_log(run: Run, read: Read) -> None:
    done = run(SIGNAL)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert (len(read("prediction")), len(read("outcome"))) == (4000, 4000)


IMPORTS = """
import sys
before = set(sys.modules)
from predlog import PredictionLog
with PredictionLog("m", "v", sys.argv[1]) as log:
    log.log({"a": 1, "odd": object()})
gained = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(gained - sys.stdlib_module_names))
"""


def test_only_the_standard_library_and_orjson_are_imported(folder: Path) -> None:
    command = [sys.executable, "-c", IMPORTS, str(folder)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["orjson", "predlog"]
