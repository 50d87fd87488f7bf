"""The parser by itself: bytes in, a response out, whatever pieces they come in."""

import pytest

from sluice.aws.http_parser import HttpResponse, ProtocolError, ResponseParser

PLAIN = b"HTTP/1.1 200 OK\r\nX-Amz-Crc32: 1\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\nTrailer: 1\r\n\r\n"
PROVISIONAL = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize(("whole", "status"), [(PLAIN, 200), (CHUNKED, 400), (PROVISIONAL, 200)])
def test_a_response_is_whole_with_its_last_piece_and_not_before(whole: bytes, status: int, size: int) -> None:
    parser = ResponseParser(max_bytes=100)
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]

    found = [parser.feed(piece) for piece in pieces]

    assert found[:-1] == [None] * (len(pieces) - 1)
    assert isinstance(found[-1], HttpResponse)
    assert (found[-1].status, found[-1].content, parser.may_be_kept) == (status, b"{}", True)


def test_a_response_without_a_length_ends_with_the_connection() -> None:
    parser = ResponseParser(max_bytes=100)

    found = [parser.feed(piece) for piece in (b"HTTP/1.1 200 OK\r\n\r\n{", b"}", b"")]

    assert found == [None, None, HttpResponse(200, {}, b"{}")]
    assert not parser.may_be_kept


@pytest.mark.parametrize(
    ("whole", "error"),
    [(PLAIN[:-1], ConnectionResetError), (b"no HTTP\r\n\r\n", ProtocolError), (PLAIN[:20], ConnectionResetError)],
)
def test_what_breaks_off_or_is_not_http_raises(whole: bytes, error: type[OSError]) -> None:
    parser = ResponseParser(max_bytes=100)

    with pytest.raises(error):
        [parser.feed(piece) for piece in (whole, b"")]


def test_no_more_than_was_allowed_is_read() -> None:
    parser = ResponseParser(max_bytes=1)

    with pytest.raises(ProtocolError, match="too long"):
        parser.feed(PLAIN)
