from common.data import iemocap, meld

DATASETS = {module.NAME: module for module in (iemocap, meld)}
OWN = "corpus.npz"  # the file of own conversations, in their folder
