"""openSMILE's features of the INTERSPEECH 2010 paralinguistic challenge, as the datasets of this field have them."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from common.features.audio.heard import SoundExtractor, sound_identity
from common.features.audio.sound import RATE, Unheard
from common.features.extractor import Plain
from common.features.packages import OPENSMILE, package

WIDTH = 1582
LICENCE = "openSMILE is licensed for research and education that is not commercial"


@dataclass(frozen=True)
class IS10(SoundExtractor):
    """The 1,582 functionals of IS10 (Schuller et al., 2010), by openSMILE's own configuration IS10_paraling_compat.

    Sound is mixed down and resampled to 16,000 Hz by `read_sound`; openSMILE gets it as whole numbers of 16 bits.
    Never what is taken by default: see LICENCE.
    """

    def identity(self) -> dict[str, Plain]:
        """See Extractor."""
        smile = package("opensmile", OPENSMILE)
        return {"model": "is10", "config": _smile().config_name, "opensmile": smile.__version__, **sound_identity(RATE)}

    def prepare(self) -> int:
        """See SoundExtractor."""
        _smile()
        return RATE

    def vector(self, samples: np.ndarray) -> np.ndarray:
        """The functionals, float32 (1582,), of `samples` (n,), 16,000 a second."""
        highest = 1 - 2.0**-15  # what is higher turns round to -1 when opensmile makes it 16 bits
        values = _smile()(np.clip(samples, -1, highest), RATE)  # (channels, width, 1)
        if not np.isfinite(values).all():
            raise Unheard(f"openSMILE gives no numbers for {len(samples) / RATE:.3f} s of it")
        return values.reshape(WIDTH).astype(np.float32)


@cache
def _smile() -> Any:
    smile = package("opensmile", OPENSMILE)
    return smile.Smile(smile.FeatureSet.IS10, smile.FeatureLevel.Functionals)
