"""docs/statuses.md explains every status, in the words of the program."""

from harness.fit.status import DOUBTFUL, EXPLAINED, MILD, SERIOUS, VOID, VOIDING, is_good, is_serious
from scripts.write_statuses import PAGE, statuses_page


def test_the_page_is_what_the_script_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == statuses_page(), "run python scripts/write_statuses.py"


def test_every_code_is_explained_once_and_says_what_to_do() -> None:
    text = statuses_page()
    for code, status in EXPLAINED.items():
        assert text.count(f"| `{code}` |") == 1
        assert status.meaning
        assert status.remedy
        assert not status.meaning.endswith("."), "sentences are finished where they are shown"
    assert len(EXPLAINED) == len(VOID) + len(DOUBTFUL) + 7, "no code stands for two things"


def test_codes_are_void_serious_or_mild() -> None:
    for one in (*VOIDING, *SERIOUS):
        assert is_serious(one.code)
        assert not is_good(one.code)
    for one in MILD:
        assert not is_serious(one.code)
        assert not is_good(one.code)
    assert is_good("ok")
    assert is_serious("disagree")
    assert not is_serious("unclear")
