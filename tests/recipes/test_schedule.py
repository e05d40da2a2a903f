"""The schedule fits the number of persons."""

import pytest

from okdhp_mm.recipes.schedule import fit_schedule


@pytest.mark.parametrize('persons', [1, 10, 72, 300, 1000, 10_000, 150_000])
def test_the_warm_up_is_short_and_validations_are_few(persons):
    schedule = fit_schedule(persons)
    assert schedule.steps_per_epoch * schedule.batch_size >= persons
    assert 1 <= schedule.warm_up <= 0.06 * schedule.steps + 1
    assert 8 <= schedule.epochs / schedule.val_interval <= 20
    assert schedule.log_interval <= schedule.steps_per_epoch
    assert schedule.steps > 100


def test_more_persons_have_more_steps_and_fewer_epochs():
    few, many = fit_schedule(72), fit_schedule(7200)
    assert few.steps < many.steps
    assert few.epochs > many.epochs
    assert few.batch_size < many.batch_size
    assert few.learning_rate < many.learning_rate


def test_the_user_decides():
    schedule = fit_schedule(72, epochs=3, batch_size=10)
    assert (schedule.epochs, schedule.batch_size, schedule.steps) == (3, 10, 24)
    assert (schedule.warm_up, schedule.val_interval) == (1, 1)
