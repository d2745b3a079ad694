"""The variants of Tables 4 to 7: parameters counted by hand, what is left out is not there, and the rest computes what
Section 4 of the paper says without it.
"""

import pytest
import torch

from common.batching.batches import Batches
from common.errors import InputError
from common.experiments.variants import TABLES, VARIANTS
from common.network.ecerc import ECERC
from common.release.checkpoint import load_released, released_state, save_released
from common.settings import PARTS, NetworkSettings
from common.training.loss import focal_loss
from tests.small import one_batch_of, small_corpus, small_network

IN = {"IEMOCAP": {"T": 1024, "A": 1582, "V": 342}, "MELD": {"T": 1024, "A": 300, "V": 342}}
CLASSES = {"IEMOCAP": 6, "MELD": 7}
ROWS = [name for table in "4567" for name in TABLES[table].rows]


def linear(n, m):
    return n * m + m


def block(m):
    """Maps of queries, keys, values and output, two LayerNorms, two feed-forward maps."""
    return 4 * m * 512 + 2 * 2 * m + linear(m, 2 * m) + linear(2 * m, m)


def by_hand(dataset, variant):
    """Parameters of a variant, counted from the description of the network; without the unused LayerNorm."""
    kinds = variant if variant in ("TA", "TV", "AV", "T", "A", "V") else "TAV"
    d, D, text = 128, 128 * len(kinds), "T" in kinds
    routes = 4 if text else 2
    count = sum(linear(IN[dataset][kind], d) for kind in kinds)
    count += linear(d, d) * (1 if len(kinds) == 1 or variant == "own-modality-gate" else 2)  # q, k
    count += 3 * block(D)  # h^emo, S, C
    if text:
        count += linear(1024, d) + 3 * block(d)  # h^eve, I, C
    count += linear(D, D) * (2 if text else 1)  # feature gates
    if variant == "without-evidence-gating":
        count -= 2 * linear(d, d)
    if variant == "without-feature-gating":
        count -= 2 * linear(D, D)
    if variant in ("without-event-encoding", "without-self-event-attention", "without-cross-event-attention"):
        count -= block(d)
    if variant in ("without-emotion-encoding", "without-self-emotion-attention", "without-cross-emotion-attention"):
        count -= block(D)
    if variant.endswith("-attention"):
        routes = 3
    if variant == "all-candidates-gate":
        count += 2 * (linear(4 * D, D) - linear(D, D))
    return count + linear(routes * D, CLASSES[dataset])


@pytest.mark.parametrize("variant", dict.fromkeys(ROWS))
@pytest.mark.parametrize("dataset", ["IEMOCAP", "MELD"])
def test_parameters(dataset, variant):
    widths = dict(zip(("text", "audio", "visual"), IN[dataset].values(), strict=True)) | {"event": 1024}
    network = ECERC(NetworkSettings(**VARIANTS[variant]), widths, CLASSES[dataset])
    assert sum(p.numel() for p in network.parameters()) == by_hand(dataset, variant)


def test_the_count_of_the_whole_network_is_the_published_one():
    assert by_hand("IEMOCAP", "full") + 2 * 2948 == 5_975_310
    assert by_hand("MELD", "full") + 2 * 1666 == 5_810_187


@pytest.mark.parametrize("empty_history", ["released", "strict"])
@pytest.mark.parametrize("variant", dict.fromkeys(ROWS))
def test_everything_that_is_there_is_used_and_nothing_else(variant, empty_history):
    """All parameters but the maps under mask I get a gradient; features of modalities left out do not matter."""
    corpus = small_corpus("MELD")
    network = small_network(corpus, positions=True, empty_history=empty_history, **VARIANTS[variant])
    batch = one_batch_of(corpus, "train")
    log_prob = network(batch)
    focal_loss(log_prob, batch.label).backward()
    idle = set(network.idle_parameters())
    assert bool(idle) == ("self_event" in network.settings.routes)
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == (parameter in idle), name
        assert parameter in idle or parameter.grad.abs().sum() > 0, name
    in_use = network.settings.modalities_in_use
    for name in ("text", "event", "audio", "visual"):
        changed = small_corpus("MELD")
        changed.features[name][:] += 1
        moved = not torch.equal(network(one_batch_of(changed, "train")), log_prob)
        assert moved == ((name if name != "event" else "text") in in_use), name


def stages(corpus, **settings):
    """A network, its evidence (N, D), causes, and decision."""
    network = small_network(corpus, positions=True, modality_order="released", **settings)
    with torch.no_grad():
        evidence, causes = network.encode(one_batch_of(corpus))
        return network, evidence, causes, network.decide(evidence, causes)


@pytest.fixture(scope="module")
def corpus():
    return small_corpus("MELD", sizes=(1, 1, 4))


@pytest.mark.parametrize("inputs", ["all", "own"])
@pytest.mark.parametrize("modalities", ["TAV", "TA", "TV", "AV", "T", "A", "V"])
def test_evidence(corpus, modalities, inputs):
    """Stage 1 utterance by utterance: positions of W columns, maps, gates that see each other."""
    network, evidence, *_ = stages(corpus, modalities=modalities, evidence_gate_inputs=inputs)
    names = {"T": "text", "A": "audio", "V": "visual"}
    stored = {"TAV": "TVA", "AV": "VA"}.get(modalities, modalities)  # audio and visual are stored the other way round
    gating, batch = network.evidence_gating, one_batch_of(corpus)
    U = torch.cat([batch.features[names[kind]] for kind in stored], 1)
    W = U.shape[1]
    for row in range(len(U)):
        p = int(batch.packing.position[row])
        angle = torch.tensor([p / 10000 ** (2 * (j // 2) / W) for j in range(W)], dtype=torch.float64)
        even = torch.arange(W) % 2 == 0
        u, first, mapped = U[row] + torch.where(even, angle.sin(), angle.cos()).float(), 0, []
        for kind in modalities:
            part = gating.maps[names[kind]]
            mapped.append(part(u[None, first : first + part.in_features])[0])
            first += part.in_features
        assert first == W
        for k, x in enumerate(mapped):
            score = gating.query(x[None])[0]
            if inputs == "all":
                score = score + sum(gating.key(y[None])[0] for j, y in enumerate(mapped) if j != k)
            torch.testing.assert_close(evidence[row, 8 * k : 8 * k + 8], score.sigmoid() * x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("variant", dict.fromkeys(ROWS))
def test_stages_after_the_evidence(corpus, variant):
    """Causes, candidates and gates from each other, with the parts that the variant has."""
    network, evidence, causes, decision = stages(corpus, **VARIANTS[variant])
    settings, batch = network.settings, one_batch_of(corpus)
    n, without = len(batch.label), settings.without
    if "evidence-gating" in without:
        gates, gated = network.evidence_gating(torch.randn(5, len(settings.modalities_in_use), 8))
        assert (gates == 1).all()
        assert gated.shape == gates.shape
    if "emotion-encoding" in without:
        assert torch.equal(causes.emotion[:n], evidence)
    if "event-encoding" in without:
        position = batch.packing.position[:, None]
        columns = torch.arange(corpus.widths["event"])
        W = network.evidence_width
        angle = position / 10000 ** (2 * (columns // 2) / W)
        S = torch.cat([batch.features["event"], torch.zeros(len(position) - n, len(columns))])
        S = S + torch.where(columns % 2 == 0, angle.sin(), angle.cos())
        torch.testing.assert_close(causes.event, network.event_map(S), rtol=1e-5, atol=1e-5)
    assert tuple(decision.attended) == settings.routes
    candidates = {}
    for route in settings.routes:
        attended = decision.attended[route]
        candidates[route] = attended if "emotion" in route else torch.cat([attended, evidence[:n, 8:]], 1)
    gated = []
    for route, g in candidates.items():
        gate = network.emotion_gate if "emotion" in route else network.event_gate
        if "feature-gating" in without:
            gated.append(g)
            continue
        seen = g if settings.feature_gate_inputs == "own" else torch.cat(list(candidates.values()), 1)
        gated.append(gate(seen).sigmoid() * g)
    expected = network.classifier(torch.cat(gated, 1)).log_softmax(1)
    torch.testing.assert_close(decision.log_prob, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("variant", dict.fromkeys(ROWS))
def test_checkpoints_of_a_variant(corpus, variant, tmp_path):
    network, *_, decision = stages(corpus, **VARIANTS[variant])
    save_released(network, tmp_path / "it.pkl")
    again = small_network(corpus, 1, positions=True, modality_order="released", **VARIANTS[variant])
    load_released(again, tmp_path / "it.pkl")
    torch.testing.assert_close(again(one_batch_of(corpus)), decision.log_prob)
    whole = small_network(corpus)
    if set(released_state(whole)) != set(released_state(network)):
        with pytest.raises(InputError, match="trained with other settings") as error:
            load_released(whole, tmp_path / "it.pkl")
        assert {"layers", "modalities", "without", "evidence_gate_inputs"} <= set(error.value.change)


def test_parts_can_be_left_out_together(corpus):
    """Only one route left, from causes that no encoder made."""
    without = [part for part in PARTS if part != "self-emotion-attention"]
    without.remove("event-encoding")  # goes with its attentions
    network, _, _, decision = stages(corpus, without=without, modalities="TA")
    assert network.event_map is None
    assert network.emotion_gate is None
    torch.testing.assert_close(decision.log_prob, network.classifier(decision.attended["self_emotion"]).log_softmax(1))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"without": ("gating",)},
            r"without: found \('gating',\); expected different ones of",
        ),
        ({"without": "feature-gating"}, None),
        ({"without": ("feature-gating", "feature-gating")}, "expected different ones"),
        ({"without": [part for part in PARTS if part.endswith("attention")]}, "leaves no attention to any cause"),
        (
            {"modalities": "A", "without": ["self-emotion-attention", "cross-emotion-attention"]},
            "leaves no attention to any cause",
        ),
        ({"modalities": "AV", "without": ["event-encoding"]}, "modalities AV have no events anyway"),
        ({"modalities": "VA"}, "expected one of TAV, TA"),
        (
            {"without": ["evidence-gating"], "evidence_gate_inputs": "own"},
            "without evidence-gating: contradicts evidence_gate_inputs own",
        ),
        (
            {"without": ["feature-gating"], "feature_gate_inputs": "all"},
            "without feature-gating: contradicts feature_gate_inputs all",
        ),
    ],
)
def test_contradictions_are_named(settings, expected):
    if expected is None:
        assert NetworkSettings(**settings).without == ("feature-gating",)
        return
    with pytest.raises(InputError, match=expected):
        NetworkSettings(**settings)


def test_batches_do_not_matter_under_strict_history():
    """In a batch or alone, for each variant."""
    corpus = small_corpus("IEMOCAP", sizes=(1, 1, 4))
    for variant in dict.fromkeys(ROWS):
        network = small_network(corpus, positions=True, empty_history="strict", **VARIANTS[variant])
        alone = torch.cat([network(batch) for batch in Batches(corpus, "test", 1, "cpu")])
        torch.testing.assert_close(network(one_batch_of(corpus)), alone, rtol=0, atol=1e-6)
