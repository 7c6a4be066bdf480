"""Jobs with real processes: they outlive whoever started them, are never two, and say how they ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from engine import jobs
from engine.errors import Busy, InvalidInput, NotFound
from engine.processes import born
from engine.settings import PROJECT

NOW = "2026-03-01T10:00:00.000+00:00"

SLEEPER = """
import sys, time
from pathlib import Path
from engine.jobs import Progress
folder = Path(sys.argv[1])
progress = Progress(folder, every_s=0)
print("hello from the worker", flush=True)
for step in range(600):
    progress.update(step=step, steps=600)
    if (folder / "stop").exists():
        progress.finish("stopped", "Stopped as asked.")
        break
    time.sleep(0.05)
else:
    progress.finish("done", "All steps.")
"""


@pytest.fixture
def runs(tmp_path):
    """A runs folder whose workers do not outlive the test."""
    folder = tmp_path / "runs"
    yield folder
    for entry in folder.glob("*/process.json"):
        try:
            worker = psutil.Process(json.loads(entry.read_text())["pid"])
            if str(tmp_path) in " ".join(worker.cmdline()):
                worker.kill()
        except psutil.Error:
            continue  # it is gone already


def sleeper(runs, title="Sleeping", **options):
    command = [
        sys.executable,
        "-c",
        SLEEPER,
        "{folder}",
    ]
    return jobs.start(runs, kind="test", title=title, argv=command, now=NOW, **options)


def wait_until(holds, timeout_s=90.0):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.03)


def state(job):
    return jobs.read_job(Path(job.folder)).state


def test_a_started_job_runs_and_its_output_and_progress_can_be_read(runs):
    job = sleeper(runs)
    assert job.state == "running" and job.pid > 0 and job.title == "Sleeping"
    wait_until(lambda: jobs.read_job(Path(job.folder)).progress.get("step", 0) >= 2)
    assert jobs.read_job(Path(job.folder)).log_tail == ("hello from the worker",)
    assert [listed.id for listed in jobs.list_jobs(runs)] == [job.id]


def test_the_worker_is_no_child_of_ours_and_leads_its_own_session(runs):
    job = sleeper(runs)
    worker = psutil.Process(job.pid)
    assert worker.ppid() != os.getpid()
    assert os.getsid(job.pid) != os.getsid(0)
    held = {entry.name: str(entry.readlink()) for entry in Path(f"/proc/{job.pid}/fd").iterdir() if entry.is_symlink()}
    assert held["0"] == "/dev/null"
    assert held["1"] == held["2"] == f"{job.folder}/log.txt"
    assert not [target for target in held.values() if target.endswith("/.lock")]


def test_a_job_outlives_a_starter_that_is_killed_with_its_whole_group(runs):
    script = f"""
import sys, time
sys.path.insert(0, {str(PROJECT / "tests")!r})
from pathlib import Path
from test_jobs import sleeper
print(sleeper(Path({str(runs)!r})).folder, flush=True)
time.sleep(60)
"""
    starter = subprocess.Popen(
        [sys.executable, "-c", script], cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    folder = Path(starter.stdout.readline().strip())
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    before = jobs.read_job(folder).progress.get("step", 0)
    wait_until(lambda: jobs.read_job(folder).progress.get("step", 0) > before + 3)
    assert jobs.read_job(folder).state == "running"


def test_a_second_start_is_refused_and_names_the_running_job_and_the_way_out(runs):
    first = sleeper(runs, title="Training leave")
    with pytest.raises(Busy, match=f"Training leave is running.*Wait.*jobs stop {first.id}"):
        sleeper(runs)
    assert len(list(runs.glob("*/job.json"))) == 1


def test_of_starts_at_the_same_moment_exactly_one_wins(runs):
    script = f"""
import sys
sys.path.insert(0, {str(PROJECT / "tests")!r})
from pathlib import Path
from engine.errors import Busy
from test_jobs import sleeper
sys.stdin.readline()
try:
    sleeper(Path({str(runs)!r}))
    print("won")
except Busy:
    print("busy")
"""
    starters = [
        subprocess.Popen([sys.executable, "-c", script], cwd=PROJECT, stdin=-1, stdout=-1, text=True) for _ in range(4)
    ]
    for starter in starters:
        starter.stdin.write("go\n")
        starter.stdin.flush()
    said = sorted(starter.communicate(timeout=60)[0].strip() for starter in starters)
    assert said == ["busy", "busy", "busy", "won"]
    assert len(list(runs.glob("*/job.json"))) == 1


def test_stop_asks_and_the_job_ends_as_stopped(runs):
    job = sleeper(runs)
    wait_until(lambda: jobs.read_job(Path(job.folder)).progress.get("step", 0) >= 1)
    jobs.stop(Path(job.folder))
    wait_until(lambda: state(job) == "stopped")
    assert jobs.read_job(Path(job.folder)).progress["message"] == "Stopped as asked."
    with pytest.raises(InvalidInput, match="is not running: it is stopped"):
        jobs.stop(Path(job.folder))


def test_a_killed_job_is_died_with_its_last_log_lines_and_leaves_no_zombie(runs):
    job = sleeper(runs)
    wait_until(lambda: jobs.read_job(Path(job.folder)).log_tail)
    os.kill(job.pid, signal.SIGKILL)
    wait_until(lambda: state(job) == "died")
    assert jobs.read_job(Path(job.folder)).log_tail == ("hello from the worker",)
    wait_until(lambda: not psutil.pid_exists(job.pid))
    second = sleeper(runs, title="Second")
    assert second.state == "running"


def test_a_pid_given_to_another_process_is_not_taken_for_the_job(runs):
    job = sleeper(runs)
    os.kill(job.pid, signal.SIGKILL)
    wait_until(lambda: state(job) == "died")
    process = Path(job.folder) / "process.json"
    entry = json.loads(process.read_text())
    process.write_text(json.dumps(entry | {"pid": os.getpid()}))
    assert state(job) == "died"


def test_a_zombie_is_died(runs):
    job = sleeper(runs)
    os.kill(job.pid, signal.SIGKILL)
    child = subprocess.Popen([sys.executable, "-c", ""])
    birth = born(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    (Path(job.folder) / "process.json").write_text(json.dumps({"pid": child.pid, "born": birth}))
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert state(job) == "died"
    child.wait()


def test_resume_goes_on_in_the_same_folder_without_the_old_stop_mark(runs):
    job = sleeper(runs)
    with pytest.raises(InvalidInput, match="is running, so there is nothing to resume"):
        jobs.resume(Path(job.folder))
    jobs.stop(Path(job.folder))
    wait_until(lambda: state(job) == "stopped")
    again = jobs.resume(Path(job.folder))
    assert again.id == job.id and again.pid != job.pid
    wait_until(lambda: jobs.read_job(Path(job.folder)).progress.get("step", 0) >= 3)
    assert state(job) == "running"


def test_stopped_while_it_still_starts_is_stopped_and_not_died(runs):
    job = jobs.start(
        runs,
        kind="test",
        title="Slow to start",
        argv=[sys.executable, "-c", "import time; time.sleep(1)\n" + SLEEPER, "{folder}"],
        now=NOW,
    )
    jobs.stop(Path(job.folder))
    wait_until(lambda: state(job) != "running")
    assert state(job) == "stopped"


def test_a_worker_that_ends_without_a_last_word_is_died(runs):
    job = jobs.start(
        runs, kind="test", title="Broken", argv=[sys.executable, "-c", "raise SystemExit('boom')"], now=NOW
    )
    wait_until(lambda: state(job) == "died")
    assert jobs.read_job(Path(job.folder)).log_tail[-1] == "boom"


def test_what_prepare_refuses_leaves_no_folder(runs):
    def refuse(folder):
        (folder / "input").write_text("half")
        raise InvalidInput("No rows.")

    with pytest.raises(InvalidInput, match="No rows"):
        sleeper(runs, prepare=refuse)
    assert list(runs.glob("*/")) == []


def test_a_program_that_is_not_there_is_an_error_and_no_job(runs):
    with pytest.raises(jobs.Unavailable, match="could not be started"):
        jobs.start(runs, kind="test", title="Ghost", argv=["/no/such/program"], now=NOW)
    assert jobs.list_jobs(runs) == []


def test_the_environment_given_reaches_the_worker(runs):
    command = [sys.executable, "-c", "import os; print(os.environ['TOUCHSTONE_PROBE'])"]
    job = jobs.start(runs, kind="test", title="Env", argv=command, now=NOW, env={"TOUCHSTONE_PROBE": "seen"})
    wait_until(lambda: state(job) == "died")
    assert jobs.read_job(Path(job.folder)).log_tail == ("seen",)


def test_progress_is_throttled_but_the_last_word_is_written(tmp_path):
    seconds = [0.0]
    progress = jobs.Progress(tmp_path, every_s=1.0, clock=lambda: seconds[0])
    written = lambda: json.loads((tmp_path / "progress.json").read_text())  # noqa: E731
    progress.update(step=1)
    seconds[0] = 0.5
    progress.update(step=2)
    assert written()["step"] == 1
    seconds[0] = 1.0
    progress.update(step=3)
    assert written() == {"state": "running", "step": 3}
    seconds[0] = 1.1
    progress.finish("done", "Finished.")
    assert written() == {"state": "done", "step": 3, "message": "Finished.", "eta_s": 0.0}


def test_the_curve_is_read_back_and_a_cut_line_is_left_out(tmp_path):
    progress = jobs.Progress(tmp_path)
    progress.point(step=1, loss=2.5)
    progress.point(step=2, loss=2.0)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    assert jobs.read_metrics(tmp_path) == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 2.0}]


def test_a_damaged_progress_file_does_not_hide_the_job(runs):
    job = sleeper(runs)
    os.kill(job.pid, signal.SIGKILL)
    wait_until(lambda: state(job) == "died")
    (Path(job.folder) / "progress.json").write_text('{"state": "do')
    assert jobs.read_job(Path(job.folder)).state == "died"


def test_a_job_is_found_by_the_beginning_of_its_id_and_an_unknown_one_is_named(runs):
    job = sleeper(runs)
    assert jobs.find_job(jobs.list_jobs(runs), job.id[:10]).id == job.id
    with pytest.raises(NotFound, match="'nope': there is no such job"):
        jobs.find_job(jobs.list_jobs(runs), "nope")
    with pytest.raises(NotFound, match="holds no job"):
        jobs.read_job(runs / "nope")


def test_a_queued_job_waits_says_for_whom_and_starts_by_itself_when_the_first_ends(runs):
    first = sleeper(runs, title="First", queue=True)
    second, third = (sleeper(runs, title=title, queue=True) for title in ("Second", "Third"))
    assert [first.state, second.state, third.state] == ["running", "queued", "queued"]
    assert "First comes first" in second.progress["message"]
    assert "First comes first, and 1 more before it" in third.progress["message"]
    assert [job.title for job in jobs.in_turn(runs)] == ["First", "Second", "Third"]
    os.kill(first.pid, signal.SIGKILL)  # nobody is left to start the next one, and it starts
    wait_until(lambda: state(second) == "running" and jobs.read_job(Path(second.folder)).progress.get("step", 0) >= 1)
    assert state(first) == "died" and state(third) == "queued"
    assert jobs.read_job(Path(second.folder)).pid == second.pid
    jobs.stop(Path(second.folder))
    wait_until(lambda: state(third) == "running")
    assert state(second) == "stopped"


def test_a_queued_job_can_be_cancelled_and_queued_again_behind_the_others(runs):
    first = sleeper(runs, title="First", queue=True)
    second, third = (sleeper(runs, title=title, queue=True) for title in ("Second", "Third"))
    with pytest.raises(InvalidInput, match="is queued, so there is nothing to resume"):
        jobs.resume(Path(second.folder))
    jobs.stop(Path(second.folder))
    wait_until(lambda: state(second) == "stopped")
    assert "Cancelled before it started" in jobs.read_job(Path(second.folder)).progress["message"]
    again = jobs.resume(Path(second.folder))
    assert again.state == "queued"
    assert [job.title for job in jobs.in_turn(runs)] == ["First", "Third", "Second"]
    assert state(first) == "running" and state(third) == "queued"


def test_a_job_that_may_not_wait_is_refused_while_others_do(runs):
    sleeper(runs, title="First", queue=True)
    with pytest.raises(Busy, match="First is running"):
        sleeper(runs)


def test_a_queued_job_whose_waiting_process_is_gone_is_died_and_never_waiting(runs):
    sleeper(runs, title="First", queue=True)
    second = sleeper(runs, title="Second", queue=True)
    os.kill(second.pid, signal.SIGKILL)
    wait_until(lambda: state(second) == "died")
    assert jobs.resume(Path(second.folder)).state == "queued"


def test_a_clock_set_back_changes_no_turn(runs):
    """Turns are drawn, not timed: the later starts bear earlier dates."""
    command = [sys.executable, "-c", SLEEPER, "{folder}"]
    for title, now in (("First", "2026-03-01T10:00:00"), ("Second", "2025-01-01"), ("Third", "2024-01-01")):
        jobs.start(runs, kind="test", title=title, argv=command, now=now, queue=True)
    assert [job.title for job in jobs.in_turn(runs)] == ["First", "Second", "Third"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc, where nobody may write")
def test_a_workspace_that_cannot_be_written_is_told_with_the_way_out():
    with pytest.raises(jobs.Unavailable, match=r"/proc/touchstone/runs cannot be written .* Choose another workspace"):
        sleeper(Path("/proc/touchstone/runs"))
