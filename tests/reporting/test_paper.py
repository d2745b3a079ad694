from pathlib import Path

import yaml

from common.experiments.variants import TABLES
from common.reporting.paper import paper_systems, paper_variants


def test_numbers_are_the_printed_ones():
    printed = yaml.safe_load((Path(__file__).parent / "paper_results.yaml").read_text())
    for dataset, systems in printed["main"].items():
        read = paper_systems(dataset)
        assert list(read) == list(systems)
        for name, row in systems.items():
            assert read[name] == {"f1": row["classes"], "wf1": row["wf1"], "accuracy": row["acc"]}
    rows = printed["components"] | printed["modalities"]
    rows = {"full" if name == "TAV" else name.replace("_", "-"): values for name, values in rows.items()}
    rows["own-modality-gate"] = printed["evidence_gate_inputs"]["own_modality"]
    rows["all-candidates-gate"] = printed["feature_gate_inputs"]["all_candidates"]
    for k, dataset in enumerate(("IEMOCAP", "MELD")):
        expected = {n: {"wf1": v[2 * k], "accuracy": v[2 * k + 1]} for n, v in rows.items()}
        assert paper_variants(dataset) == expected
    assert set(rows) == {variant for name in "4567" for variant in TABLES[name].rows}
