import threading
import time

import distributed
import pytest

from common.errors import InputError
from common.workers.spread import Ended, crew


def wait(seconds):
    time.sleep(seconds)
    return seconds


def test_a_scheduler_that_is_lost_is_said_in_one_line():
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)
    with crew("dask", 1, 1, cluster.scheduler_address) as workers:
        ends = workers.run(wait, [(0.0,), (20.0,)])
        assert next(ends) == Ended(0, 0.0)
        closing = threading.Thread(target=cluster.close)
        closing.start()
        with pytest.raises(InputError, match=r"the connection to the Dask scheduler was lost; start it again"):
            next(ends)
    closing.join()
