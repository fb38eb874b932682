"""The mapped network as files of SANA-FE, a second opinion on time and energy."""
