"""A training whose traces several tests look at."""

import pytest
from runs import runner_of


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """The runner after its training; its work_dir holds what the hooks wrote."""
    runner = runner_of(tmp_path_factory.mktemp('trained'))
    runner.train()
    return runner
