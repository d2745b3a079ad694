import numpy as np
import pytest
from scipy.stats import entropy

from common.reporting.attended import TOP, attended, keys, spread

SPEAKER = np.array([0, 1, 0, 2, 0])


def test_keys_by_hand():
    own = [[], [], [0], [], [0, 2]]
    others = [[], [0], [1], [0, 1, 2], [1, 3]]
    for route, expected in {"self_emotion": own, "cross_emotion": others, "cross_event": others}.items():
        assert [np.flatnonzero(row).tolist() for row in keys(SPEAKER, route)] == expected, route
    np.testing.assert_array_equal(keys(SPEAKER, "self_event"), np.eye(5))


def test_rows_by_hand():
    weights = np.full((2, 5, 5), np.nan)
    weights[:, 1] = [1, 0, 0, 0, 0]
    weights[:, 2] = [0, 1, 0, 0, 0]
    weights[:, 3] = [[0.5, 0.25, 0.25, 0, 0], [0.1, 0.45, 0.45, 0, 0]]
    weights[:, 4] = [[0, 0.2, 0, 0.8, 0], [0, 0.6, 0, 0.4, 0]]
    rows, heads = attended(weights, keys(SPEAKER, "cross_emotion"))
    assert rows[0] is None
    assert heads[0] is None
    assert rows[2] == {"keys": 1, "entropy": 0, "top": [[1, 1]]}
    assert rows[3]["keys"] == 3
    assert [at for at, _ in rows[3]["top"]] == [1, 2, 0]  # of equals the earlier
    assert [weight for _, weight in rows[3]["top"]] == pytest.approx([0.35, 0.35, 0.3])
    assert rows[3]["entropy"] == pytest.approx(entropy([0.35, 0.35, 0.3]))
    assert [(at, weight) for at, weight, _ in heads[4]] == [(3, 0.8), (1, 0.6)]
    assert [even for *_, even in heads[4]] == pytest.approx([entropy([0.2, 0.8]), entropy([0.6, 0.4])])


def test_only_the_top_turns_are_named_even_where_weights_vanish():
    weights = np.zeros((1, 10, 10))
    weights[0, :, 0] = 1
    rows, _ = attended(weights, keys(np.zeros(10, int), "self_emotion"))
    assert [len(row["top"]) if row else None for row in rows] == [None, *(min(n, TOP) for n in range(1, 10))]
    assert rows[9]["top"] == [[0, 1], *([at, 0] for at in range(1, TOP))]
    weights = np.zeros((1, 5, 5))
    weights[0, :, 3] = 1
    rows, _ = attended(weights, keys(SPEAKER, "cross_emotion"))
    assert rows[4]["top"] == [[3, 1], [1, 0]]  # turn 0 has no weight either, but cannot be seen


def test_the_spread_of_a_route():
    even = {"keys": 4, "entropy": np.log(4), "top": [[0, 0.25]]}
    one = {"keys": 2, "entropy": 0.0, "top": [[1, 1.0]]}
    alone = {"keys": 1, "entropy": 0.0, "top": [[0, 1.0]]}
    found = spread("cross_event", [even, one, alone])
    assert found["rows"] == 2
    assert found["largest"] == pytest.approx((1 + 2) / 2)
    assert found["evenness"] == pytest.approx((1 + 1 / 2) / 2)
    assert not found["flat"]
    assert spread("cross_event", [even, alone])["flat"]
    nothing = spread("cross_event", [alone])
    assert (nothing["largest"], nothing["evenness"], nothing["flat"]) == (None, None, False)
    assert [spread(route, [])["own_only"] for route in ("self_event", "self_emotion")] == [True, False]
