"""Whether a server could listen somewhere."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from proxygen.host.ports import is_free


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize(
    ("family", "address", "written", "everywhere"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1", "0.0.0.0"),
        (socket.AF_INET6, "::1", "[::1]", "[::]"),
    ],
)
def test_a_place_is_free_once_nobody_listens_there(
    kind: socket.SocketKind,
    family: socket.AddressFamily,
    address: str,
    written: str,
    everywhere: str,
) -> None:
    with socket.socket(family, kind) as other:
        other.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        assert not is_free(f"{written}:{port}")
        assert not is_free(f"{everywhere}:{port}")
    assert is_free(f"{written}:{port}")


def test_a_socket_in_a_folder_is_free_once_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        assert not is_free(f"unix:{path}")
    path.unlink()
    assert is_free(f"unix:{path}")


@pytest.mark.parametrize("place", ["", "*:80", "127.0.0.1", "127.0.0.1:99999", "192.0.2.1:80"])
def test_what_cannot_be_understood_or_is_not_of_this_host_is_not_free(place: str) -> None:
    assert not is_free(place)
