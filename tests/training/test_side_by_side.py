import threading
import time

import pytest
import torch

from common.training.side_by_side import side_by_side

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 4])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    assert torch.get_num_threads() == request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_job_runs_to_its_end_with_no_more_threads_than_allowed(threads, count):
    running, most, done, lock = [0], [0], [], threading.Lock()

    def job(index):
        yield
        for step in range(3 + index):
            with lock:
                running[0] += torch.get_num_threads()
                most[0] = max(most[0], running[0])
            time.sleep(0.002)
            with lock:
                running[0] -= torch.get_num_threads()
            done.append((index, step))
            yield

    side_by_side(job, count, CPU)
    assert sorted(done) == [(i, s) for i in range(count) for s in range(3 + i)]
    assert most[0] <= threads
    if threads == 2 and count > 1:
        assert most[0] == 2


def test_three_jobs_on_two_cores_take_turns():
    """No job is more than a few steps ahead of another."""
    before, steps = torch.get_num_threads(), [0, 0, 0]
    torch.set_num_threads(2)
    apart = []

    def job(index):
        yield
        for _ in range(20):
            time.sleep(0.005)
            steps[index] += 1
            apart.append(max(steps) - min(steps))
            yield

    side_by_side(job, 3, CPU)
    torch.set_num_threads(before)
    assert steps == [20, 20, 20]
    assert max(apart) <= 3


def test_the_first_failure_ends_all(threads):
    steps = [0, 0, 0]

    def job(index):
        yield
        for _ in range(1000):
            time.sleep(0.001)
            steps[index] += 1
            if steps[0] == 3:
                raise ValueError("the third step of the first")
            yield

    with pytest.raises(ValueError, match="the third step"):
        side_by_side(job, 3, CPU)
    assert max(steps) < 100


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_what_fails_while_stopping_hides_nothing_and_skips_nobody(threads, kind):
    """The first cause is raised, what came after it is noted, and every job that was begun is ended."""
    begun, ended, cause = set(), set(), kind("the third step of the first")

    def job(index):
        begun.add(index)
        try:
            yield
            for step in range(1000):
                time.sleep(0.001)
                if index == 0 and step == 3:
                    raise cause
                yield
        except GeneratorExit:
            ended.add(index)
            raise OSError(28, "No space left on device") from None

    with pytest.raises(kind) as error:
        side_by_side(job, 3, CPU)
    assert error.value is cause
    assert ended == begun - {0}
    assert getattr(cause, "__notes__", []) == ["then OSError: [Errno 28] No space left on device"] * len(ended)
