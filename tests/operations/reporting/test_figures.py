"""Figures on scales: known ends, intervals where they are known, and nothing that is lost."""

import pytest

from atelier.operations.reporting import charts
from atelier.operations.reporting.distances import distances
from atelier.operations.reporting.figures import figure, of_keys, shown
from atelier.operations.reporting.tables import edits, tables


def extractor(kid, error=0.01, ceiling=0.0, floor=4.0, **more):
    return {
        "kid": kid, "kid_standard_error": error,
        "kid_ceiling": ceiling, "kid_ceiling_standard_error": 0.01,
        "kid_blurred": 9.0, "kid_blurred_standard_error": 0.1,
        "kid_shuffled": floor, "kid_shuffled_standard_error": 0.1,
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.204123, "0.204"), (0.000705101, "0.000705"), (-0.0028, "-0.00280"), (12.34, "12.3"),
        (1234.5, "1,234"), (-3552.84, "-3,553"), (0, "0"), (20, "20"), (1.0, "1"),
        (0.9998, "0.9998"), (True, "yes"), (False, "no"), (1e-9, "1e-09"),
    ],
)  # fmt: skip
def test_numbers_read_as_a_person_writes_them(value, text):
    assert shown(value) == text.replace("-", "\N{MINUS SIGN}")


@pytest.mark.parametrize(("kid", "share"), [(4.0, 0.0), (0.0, 1.0), (1.0, 0.5), (9.0, -0.5)])
def test_the_share_of_the_way_has_known_ends(kid, share):
    (found,) = distances({"judge": extractor(kid)})
    assert found.best_floor.set_name == "shuffled"
    assert found.share(kid) == pytest.approx(share)


def test_ends_that_noise_hides_make_no_way():
    noisy = extractor(0.1, floor=0.3, kid_blurred=0.2, kid_ceiling_standard_error=0.2)
    (found,) = distances({"judge": noisy})
    assert found.share(0.1) is None


def test_what_is_clearly_worse_than_training_images_is_told_apart():
    assert distances({"judge": extractor(0.1)})[0].told_apart is True
    assert distances({"judge": extractor(0.02)})[0].told_apart is False
    assert distances({"judge": {"kid": 0.1, "kid_standard_error": 0.01}})[0].told_apart is None


def test_every_extractor_and_direction_is_found_and_counts_are_no_distances():
    metrics = {
        name: {"kid_inputs": 12, "kid_reals": 12, "witness": extractor(1.0), "judge": extractor(1)}
        for name in ("A2B", "B2A")
    }
    found = [(one.part, one.extractor) for one in distances(metrics)]
    assert found == [("A2B", "judge"), ("B2A", "judge"), ("A2B", "witness"), ("B2A", "witness")]


def test_samples_stand_for_a_sampler_before_what_came_back():
    sets = ("reconstructions", "normal", "mixture")
    group = {f"kid_{name}": 0.1 * at for at, name in enumerate(sets)}
    group |= {f"{key}_standard_error": 0.01 for key in group}
    (found,) = distances({"judge": group})
    assert found.scored.set_name == "mixture"
    assert [mark.set_name for mark in found.marks] == ["mixture", "normal", "reconstructions"]


def test_intervals_are_two_standard_errors_or_what_the_file_has():
    metrics = {
        "judge": extractor(0.5, error=0.1),
        "memorisation": {"copied": {"share": 0.02, "low": 0.01, "high": 0.04}},
        "editing": {"Male": {"flipped_in_range": 0.5, "settings": {"samples": 96}}},
        "reconstruction": {"psnr_db": 29.0},
    }
    kid = figure(metrics, ("judge", "kid"))
    assert (kid.low, kid.high) == pytest.approx((0.3, 0.7))
    assert str(kid) == "0.500 ± 0.20"
    assert str(figure(metrics, ("memorisation", "copied", "share"))) == "0.0200 (0.0100 to 0.0400)"
    flipped = figure(metrics, ("editing", "Male", "flipped_in_range"))
    assert (flipped.low, flipped.high) == pytest.approx((0.4, 0.6))  # sqrt(0.25 / 100), twice
    assert figure(metrics, ("reconstruction", "psnr_db")).interval == ""
    assert figure(metrics, ("reconstruction", "ssim")) is None


def test_what_the_registry_keeps_has_its_intervals():
    kept = of_keys({"judge/kid": 0.5, "judge/kid_standard_error": 0.1, "accuracy/minimum": 0.9})
    assert str(kept["judge/kid"]) == "0.500 ± 0.20"
    assert str(kept["accuracy/minimum"]) == "0.900"


def test_bounds_stand_beside_what_they_bound():
    metrics = {
        "judge": {"kid_mixture": 0.2, "kid_mixture_standard_error": 0.1, "kid_ceiling": 0.1},
        "reconstruction": {"psnr_db": 29.0, "psnr_db_pca": 26.0, "psnr_db_above_pca": 3.0},
        "A2B": {"verdict": 0.9, "verdict_of_reals": 1.0},
        "collapsed": False,
    }
    rows = {row.figure.key: row for table in tables(metrics) for row in table.rows}
    assert rows.keys() == {
        "judge/kid_mixture", "reconstruction/psnr_db", "reconstruction/psnr_db_above_pca",
        "A2B/verdict", "collapsed",
    }  # fmt: skip
    beside = {key: [words for words, _ in row.beside] for key, row in rows.items()}
    assert beside["judge/kid_mixture"] == ["training images"]
    assert beside["reconstruction/psnr_db"] == ["principal components"]
    assert beside["A2B/verdict"] == ["real pictures"]


def test_edits_are_a_row_for_each_attribute_or_say_why_not():
    of = {"Male": {"median_step": 1.5}, "Bald": {"left_out": "too few"}, "left_out": "no judge"}
    male, bald, every = edits({"editing": of})
    assert [one and one.value for one in male.figures] == [None, None, 1.5, None]
    assert (bald.attribute, bald.why_none) == ("Bald", "too few")
    assert every.why_none == "no judge"
    assert edits({}) == []


@pytest.mark.parametrize(
    "group",
    [
        extractor(-0.01),
        extractor(1e-7, ceiling=-0.5),
        extractor(1e6),
        {"kid": -1.0, "kid_standard_error": 0.0},
        {"kid": 0.0, "kid_standard_error": 0.0},
    ],
)
def test_every_distance_can_be_drawn(group):
    (found,) = distances({"judge": group})
    drawn = charts.logarithmic(found)
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert drawn.count("<circle") == len(found.marks)


def test_curves_keep_their_ends_and_say_where_the_snapshot_is():
    points = [(float(images), 1000.0 / images) for images in range(1, 5001)]
    drawn = charts.curve(points, "loss", selected=2500)
    assert drawn.count(",") < 2 * charts.MOST_POINTS + 50
    assert "1,000 → 0.200" in drawn
    assert "logarithmic" in drawn
    assert 'x1="100.0"' in drawn
    assert "selected" not in charts.curve(points, "loss")
    assert "over 10,000 images" in charts.curve(points, "loss", last=10_000)
    assert "<circle" in charts.curve([(0.0, 0.0)], "one point")


def test_what_is_beyond_a_track_is_an_arrow():
    assert "<polygon" in charts.track(-0.4, -0.5, -0.3, 1.0, "worse than blurred")
    assert "<circle" in charts.track(0.4, 0.3, 0.5, None, "between")
