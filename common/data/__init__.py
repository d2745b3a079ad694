from common.data import iemocap, meld

DATASETS = {module.NAME: module for module in (iemocap, meld)}
