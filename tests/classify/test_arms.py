import pytest

from spurgekit.classify.arms import parse_arm, parse_arms
from spurgekit.errors import InputError


@pytest.mark.parametrize(
    ("text", "name", "views"),
    [
        ("probe", "probe", (0,)),
        ("plain + flip", "plain+flip", (0, 2, 4, 6)),
        ("lora+cutmix+dihedral", "lora+dihedral+cutmix", None),
        ("finetune+longer+dihedral", "finetune+dihedral+longer", tuple(range(8))),
        ("probe+none", "probe", (0,)),
        ("plain", "plain", (0,)),
    ],
)
def test_names(text, name, views):
    arm = parse_arm(text)
    assert str(arm) == name
    assert parse_arm(name) == arm
    assert arm.augmentation.views == views


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prob", "there is no recipe 'prob', did you mean probe? known are plain, probe, lora, finetune"),
        ("", "there is no recipe ''; known are"),
        ("probe+cutmi", "there is no augmentation or control 'cutmi' in 'probe+cutmi', did you mean cutmix?"),
        ("probe+flip+dihedral", "turns tiles in two ways"),
        ("finetune+longer+longer", "names a control twice"),
        ("probe+duplicate", "is the same without duplicate, by construction"),
        ("probe+dihedral", "leave it out, or compare plain+dihedral with plain"),
        ("probe+retrieval+synthetic", "adds tiles from two places; compare retrieval and synthetic as two arms"),
        ("mil+dihedral", "mil takes nothing beside it"),
        ("plain+supervised", "is the same without supervised: plain learns from labelled tiles alone"),
        ("probe+longer", "a frozen backbone is not trained in steps"),
    ],
)
def test_what_cannot_be(text, says):
    with pytest.raises(InputError) as caught:
        parse_arm(text)
    assert says in str(caught.value)


def test_each_arm_once():
    with pytest.raises(InputError, match="names probe twice"):
        parse_arms(["probe", "plain", "probe + none"])
    with pytest.raises(InputError, match="no arms to compare; pass `arms`"):
        parse_arms([])


def test_synthetic_tiles_of_several_folders_are_told_apart_by_name():
    arms = parse_arms(["probe+synthetic:edits", "probe+cutmix+synthetic:round-trip", "probe+synthetic"])
    assert [arm.folder for arm in arms] == ["edits", "round-trip", ""]
    assert [str(arm) for arm in arms] == ["probe+synthetic:edits", "probe+cutmix+synthetic:round-trip", "probe+synthetic"]
    assert all(arm.has("synthetic") for arm in arms)
    with pytest.raises(InputError, match="names a control twice"):
        parse_arms(["probe+synthetic:edits+synthetic:other"])
