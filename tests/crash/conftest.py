import os
import random

import pytest


@pytest.fixture
def seed():
    """Of this test; printed, so that a failure can be repeated with CX_SEED."""
    seed = int(os.environ.get("CX_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"\nCX_SEED={seed}", end=" ")
    return seed
