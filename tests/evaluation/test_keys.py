"""The keys that files share: what users read in metrics.json, and one key for each thing."""

from collections import Counter

from atelier.evaluation import keys


def test_keys_are_those_that_docs_and_stored_figures_name() -> None:
    assert keys.distance_to(keys.CEILING) == "kid_ceiling"
    assert keys.error_of(keys.distance_to(keys.BLURRED)) == "kid_blurred_standard_error"
    assert keys.of_components(keys.PSNR_DB) == "psnr_db_pca"


def test_no_two_constants_have_the_same_key() -> None:
    named = [word for name, word in vars(keys).items() if name.isupper() and isinstance(word, str)]
    assert [word for word, count in Counter(named).items() if count > 1] == []


def test_every_kid_among_figures_is_found_without_its_error() -> None:
    figures = {"fd": 1, "kid": 2, "kid_standard_error": 3, "kid_ceiling": 4, "kidney": 5}
    figures |= {"kid_ceiling_standard_error": 6, "precision": 7}
    assert keys.kid_keys(figures) == {"": "kid", "ceiling": "kid_ceiling"}
