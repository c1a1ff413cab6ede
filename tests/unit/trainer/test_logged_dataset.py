"""What a dataset is called in MLflow."""

from __future__ import annotations

import pytest
from trainer.logged_dataset import short_name


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("digits?images=60&size=64", "digits"),
        ("/data/coco8", "coco8"),
        ("/data/coco8/", "coco8"),
        ("https://example.com/sets/coco8.zip", "coco8"),
        ("s3://bucket/sets/fruit.v2.tar.gz", "fruit.v2"),
        ("https://example.com/", "dataset"),
    ],
)
def test_its_last_part_without_the_ending_of_an_archive(uri: str, name: str) -> None:
    assert short_name(uri) == name
