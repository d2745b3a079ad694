"""What is publicly known of the released files: from the paper, and from the code and checkpoints of its authors."""

WIDTHS = {
    "IEMOCAP": {"text": 1024, "event": 1024, "audio": 1582, "visual": 342},
    "MELD": {"text": 1024, "event": 1024, "audio": 300, "visual": 342},
}
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
