"""Numbers for people."""

import pytest

from neuroprune.readable import amount, figure, quantity


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (999, "999"), (1000, "1.00k"), (12345, "12.3k"), (999_499, "999k"), (999_500, "1.00M"),
        (4.56e9, "4.56G"), (3e12, "3.00T"), (0.0, "0"), (12.0, "12"), (0.126, "0.13"), (9.996, "10.0"), (99.96, "100"),
        (123.4, "123"), (999.6, "1.00k"),
    ],
)  # fmt: skip
def test_amounts_have_three_digits_and_a_prefix(value: float, text: str) -> None:
    assert amount(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (1234.56, "1,235"), (0.123456, "0.1235"), (99.999, "100"), (1e6, "1,000,000")]
)
def test_figures_are_as_long_as_they_say_something(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0, "", "0"), (999, "B", "999 B"), (1000, "B", "1 kB"), (131_072, "B", "131.1 kB"), (12_345_678, "", "12.35 M"),
     (2.5e9, "", "2.5 G"), (3e12, "B", "3 TB"), (1437.5, "", "1.438 k")],
)  # fmt: skip
def test_quantities_have_four_digits_and_a_unit(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text
