"""Keys in addresses of nodes are never shown: not in labels, not in messages, not in logs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.secrets import label_of, redact, without_secrets

PART = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.~%", min_size=6, max_size=20).map(lambda text: f"SECRET{text}")


@st.composite
def addresses(draw: st.DrawFn) -> str:
    user = draw(st.one_of(st.just(""), PART.map(lambda text: f"{text}:{text}@")))
    tail = "/".join(draw(st.lists(PART, max_size=3)))
    query = draw(st.one_of(st.just(""), PART.map(lambda text: f"?key={text}&other={text}#{text}")))
    return f"{draw(st.sampled_from(['http', 'https', 'HTTPS', 'wss']))}://{user}node.example:8545/{tail}{query}"


@given(addresses(), st.text("abc 123:'\"", max_size=20), st.text("abc 123", max_size=20))
def test_nothing_but_scheme_and_host_of_an_address_survives(address: str, before: str, after: str) -> None:
    assert label_of(address).lower() in ("http://node.example", "https://node.example", "wss://node.example")
    text = without_secrets(f"{before} {address} {after}")
    assert "SECRET" not in text
    assert "node.example" in text


@given(addresses())
def test_a_log_line_is_cleaned_wherever_an_address_hides_in_it(address: str) -> None:
    event = {
        "event": f"asking {address}",
        "nested": {"urls": [address, (address,)]},
        "error": ValueError(address),
        "n": 1,
    }
    assert "SECRET" not in repr(redact(None, "info", event))
    assert redact(None, "info", event)["n"] == 1
