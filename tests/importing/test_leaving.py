"""What is to be switched off elsewhere: what it costs with many sites and lineages."""

from __future__ import annotations

from proxygen.importing import ClientInventory, Lineage
from proxygen.importing.host import HostInventory, JudgedLineage
from proxygen.importing.judge import JudgedPair
from proxygen.importing.leaving import ModelNames, still_shown, switching_off
from tests.counting import grows_with_the_work
from tests.importing.test_server_blocks import read
from tests.models import site

WITHOUT_NGINX = site("global: {url: mail.example.net, certificate: selfsigned}\nservices: {}\n")


def sites_that_stay(count: int) -> HostInventory:
    """Return a host with so many sites, each with a lineage of its own."""
    found = read(
        "\n".join(
            f"server {{ listen 443 ssl; server_name www.d{each}.example;"
            f" ssl_certificate /live/{each}.pem; ssl_certificate_key /live/{each}.key; }}"
            for each in range(count)
        )
    )
    pairs = {pair: JudgedPair(*pair) for block in found.blocks for pair in block.pairs}
    renewed = tuple(
        JudgedLineage(Lineage("certbot", each.certificate.stem, *pair, "renewal"), each)
        for pair, each in pairs.items()
    )
    return HostInventory(renewed, ClientInventory(), (), found, pairs)


def test_many_sites_that_stay_cost_what_they_are() -> None:
    def leave(count: int) -> None:
        seen = sites_that_stay(count)
        shown = still_shown(seen, ModelNames.of(WITHOUT_NGINX), WITHOUT_NGINX)
        assert shown.keys() == {f"/live/{each}.pem" for each in range(count)}
        told = [*switching_off(seen, WITHOUT_NGINX, lambda _: ())]
        assert len(told) == count

    assert grows_with_the_work(leave, 400)
