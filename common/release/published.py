"""What is publicly known of the released files: from the paper, and from the code and checkpoints of its authors."""

from typing import Any

from common.data import DATASETS

DRIVE_IDS = {  # Google Drive
    "IEMOCAP_features.pkl": "1RV-V6aiUzENUy97XskKqgm_bCJATpapS",
    "iemocap_emotion_features_roberta.pkl": "1vbgQ78Pzil6trugnPmgqP8q7j-fAweCj",
    "iemocap_emotion_semantic_features_roberta.pkl": "1CQ32t7FPvQU7i0S7h6fGUClPxwvQW9Qv",
    "meld_emotion_semantic_features_roberta.pkl": "1IQokygWgjaZuSXvCsfIcUzj1Gu69hDCb",
}
REPOSITORY = "zt-ai/ECERC"  # on the Hugging Face hub
CHECKPOINTS = ("ECERC_MODEL.pkl", "ECERC_MODEL_2.pkl", "ECERC_MODEL_3.pkl")
SHA256 = {("MELD", "ECERC_MODEL.pkl"): "0f44a6e546592a3f7843342c0f72dcfa591eab1f99cdbd8a7d4ea7aed607441c"}
_ALIKE = {"labels": "emotion", "empty_history": "released"}
SETTINGS: dict[
    str, dict[str, Any]
] = {  # what the checkpoints were trained with, as far as their weights do not show it
    "IEMOCAP": _ALIKE | {"batch_size": 64, "positions": True, "modality_order": "aligned"},
    "MELD": _ALIKE | {"batch_size": 32, "positions": False, "modality_order": "released"},
}
WIDTHS = {name: module.WIDTHS for name, module in DATASETS.items()}
TEST_COUNTS = {  # test utterances per class
    "IEMOCAP": [144, 245, 384, 170, 299, 381],
    "MELD": [1256, 281, 50, 208, 402, 68, 345],
}
ALL_COUNTS = {  # utterances per class in all splits: the class frequencies in the release's loss, times all utterances
    "IEMOCAP": [648, 1084, 1708, 1103, 1041, 1849],
    "MELD": [6436, 1636, 358, 1002, 2308, 361, 1607],
}
FACTS = {
    "IEMOCAP": {
        "dialogues, train": 108,
        "dialogues, valid": 12,
        "dialogues, test": 31,
        "utterances, train and valid": 5810,
        "utterances, test": 1623,
        "longest dialogue": 110,
        "% of test without earlier turn of the speaker (self)": 3.8,
        "% of test without earlier turn of others (cross)": 3.3,
    },
    "MELD": {
        "dialogues, train": 1038,
        "dialogues, valid": 114,
        "dialogues, test": 280,
        "utterances, train": 9989,
        "utterances, valid": 1109,
        "utterances, test": 2610,
        "longest dialogue": 33,
        "% of test without earlier turn of the speaker (self)": 28.6,
        "% of test without earlier turn of others (cross)": 15.8,
    },
}
