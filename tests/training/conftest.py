"""What every training test shares: one processor, in full precision."""

import pytest

from atelier.training import runtime


@pytest.fixture(scope="module")
def fabric():
    return runtime.launch("fp32")
