"""What a mapped network can be exported as, beside the program files that `exchange` writes."""

from neuroprune.choices import Choice

EXPORTS = (
    Choice(
        "sanafe",
        "the mapped network for SANA-FE 2.2, which simulates time and energy of the first sample",
        "Boyle et al. 2025, IEEE TCAD, doi 10.1109/TCAD.2025.3537971",
    ),
)
