"""Match persons with pseudo-labels to training persons."""

import numpy as np

from okdhp_mm.data.pseudo_labels.files import PseudoPerson
from okdhp_mm.data.pseudo_labels.persons import TrainingPerson, match_persons


def pseudo(path, *box):
    return PseudoPerson(path, np.array(box, float), np.zeros((2, 3)), (100, 100))


def own(path, number, *box):
    return TrainingPerson(path, number, np.array(box, float))


def numbers(pairs):
    return [(person.number, found.box[0]) for person, found in pairs]


def test_the_boxes_that_share_most_are_one_person():
    persons = [own('a', 1, 0, 0, 50, 50), own('a', 2, 40, 0, 90, 50), own('a', 3, 0, 60, 9, 99)]
    found = [pseudo('a', 41, 0, 90, 50), pseudo('a', 2, 0, 50, 50), pseudo('a', 3, 0, 50, 50)]
    pairs, others = match_persons(persons, found)
    assert sorted(numbers(pairs)) == [(1, 2), (2, 41)]
    assert others == []


def test_one_person_in_a_picture_is_the_same_whatever_the_box():
    pairs, _ = match_persons([own('a', 1, 40, 40, 50, 50)], [pseudo('a', 0, 0, 100, 100)])
    assert numbers(pairs) == [(1, 0)]


def test_persons_of_other_pictures_are_told_apart():
    pairs, others = match_persons([own('a', 1, 0, 0, 9, 9)], [pseudo('b', 0, 0, 9, 9)])
    assert pairs == []
    assert [person.path for person in others] == ['b']
